import { onScopeDispose, ref, shallowRef, watch } from 'vue';
import type { Ref, ShallowRef } from 'vue';
import type { Graph, Layout, LayoutRequest } from './dag-graph';

/** The layout of a graph, which a worker makes again whenever its nodes or edges change, but not when what a node says does. */
export function useLayout(graph: () => Graph): { readonly layout: ShallowRef<Layout | null>; readonly hasFailed: Ref<boolean> } {
  const layout: ShallowRef<Layout | null> = shallowRef(null);
  const hasFailed = ref(false);
  let worker: Worker | null = null;

  function stop(): void {
    worker?.terminate();
    worker = null;
  }

  function start(request: LayoutRequest): void {
    // A layout that is not needed any more is not waited for.
    stop();
    hasFailed.value = false;
    worker = new Worker(new URL('./dag-worker.ts', import.meta.url), { type: 'module' });
    worker.addEventListener('message', ({ data }: MessageEvent<Layout>) => {
      layout.value = data;
      stop();
    });
    worker.addEventListener('error', () => {
      hasFailed.value = true;
      stop();
    });
    worker.postMessage(request);
  }

  const request = (): LayoutRequest => {
    const { nodes, edges } = graph();
    return { ids: nodes.map(({ id }) => id), edges: edges.map(({ from, to }) => [from, to] as const) };
  };
  watch(
    () => JSON.stringify(request()),
    () => start(request()),
    { immediate: true },
  );
  onScopeDispose(stop);
  return { layout, hasFailed };
}
