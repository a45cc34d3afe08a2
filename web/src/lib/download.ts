/** Files that the reader saves. */
import { request } from './client';

export function save(name: string, content: Blob): void {
  const address = URL.createObjectURL(content);
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  // The browser has begun to read it by then.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

async function refusal(response: Response): Promise<string> {
  const text = await response.text();
  try {
    const { errors } = JSON.parse(text) as { errors?: readonly { readonly message?: unknown }[] };
    const message = errors?.[0]?.message;
    return typeof message === 'string' ? message : text;
  } catch {
    return text || response.statusText;
  }
}

/**
 * Saves what a route of the server sends, and tells how many bytes have come. The browser keeps what has come, not the page. Throws an
 * error that says what happened; a part is not saved.
 */
export async function download(path: string, name: string, signal: AbortSignal, progress: (bytes: number) => void): Promise<void> {
  const response = await request(path, { signal });
  if (!response.ok || !response.body) {
    throw new Error(await refusal(response));
  }
  let bytes = 0;
  const counted = response.body.pipeThrough(
    new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform(chunk, controller) {
        bytes += chunk.byteLength;
        progress(bytes);
        controller.enqueue(chunk);
      },
    }),
  );
  save(name, await new Response(counted, { headers: { 'content-type': response.headers.get('content-type') ?? '' } }).blob());
}
