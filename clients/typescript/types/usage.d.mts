/** What a call uses: by meter, from the responses of providers, and at most. */
export type Usage = {
    input?: number;
    output?: number;
    cacheRead?: number;
    cacheWrite5Min?: number;
    cacheWrite1Hour?: number;
    reasoning?: number;
    audioInput?: number;
    audioOutput?: number;
    imageInput?: number;
    imageOutput?: number;
    images?: number;
    requests?: number;
    searches?: number;
    mediaMs?: number;
    characters?: number;
};
/**
 * The usage of a call by meter. `input` is without what the provider's cache read or wrote; parts are in their wholes: reasoning, audio and
 * images that were generated in the output, those of the prompt in the input.
 *
 * @typedef {{
 *   input?: number, output?: number, cacheRead?: number, cacheWrite5Min?: number, cacheWrite1Hour?: number, reasoning?: number,
 *   audioInput?: number, audioOutput?: number, imageInput?: number, imageOutput?: number, images?: number, requests?: number,
 *   searches?: number, mediaMs?: number, characters?: number
 * }} Usage
 */
/** What providers add to a prompt, such as instructions for tools, in tokens. */
export declare const ADDED_TOKENS = 1024;
/**
 * The most input tokens that texts may have: each takes a byte or more, and providers add up to 1,024 tokens. Images, files and audio are not
 * bounded by it, nor is content that is kept at the provider: reserve the longest prompt of the model for these.
 *
 * @param {...unknown} contents What the request has: messages, tools, system prompt.
 * @returns {number}
 */
export declare function inputBound(...contents: unknown[]): number;
/**
 * The usage that a response of OpenAI or Anthropic states; null if it states none.
 *
 * @param {unknown} response
 * @returns {Usage | null}
 */
export declare function usageOf(response: unknown): Usage | null;
