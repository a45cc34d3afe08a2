/** Lays out graphs beside the page, so that it answers meanwhile. */
import type { LayoutRequest } from './dag-graph';
import { layOut } from './dag-layout';

self.addEventListener('message', ({ data }: MessageEvent<LayoutRequest>) => {
  self.postMessage(layOut(data));
});
