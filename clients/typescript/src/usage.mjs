/** What a call uses: by meter, from the responses of providers, and at most. */

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
export const ADDED_TOKENS = 1024;

/**
 * The most input tokens that texts may have: each takes a byte or more, and providers add up to 1,024 tokens. Images, files and audio are not
 * bounded by it, nor is content that is kept at the provider: reserve the longest prompt of the model for these.
 *
 * @param {...unknown} contents What the request has: messages, tools, system prompt.
 * @returns {number}
 */
export function inputBound(...contents) {
  const encoder = new TextEncoder();
  const bytes = contents.map((content) => encoder.encode(JSON.stringify(content) ?? "").length);
  return bytes.reduce((sum, number) => sum + number, ADDED_TOKENS);
}

/**
 * The usage that a response of OpenAI or Anthropic states; null if it states none.
 *
 * @param {unknown} response
 * @returns {Usage | null}
 */
export function usageOf(response) {
  const usage = part(response, "usage");
  if (usage === null) {
    return null;
  }
  const isBeside = !("prompt_tokens" in usage) && !("input_tokens_details" in usage);
  return isBeside ? anthropic(usage) : openai(usage);
}

/**
 * Cached tokens are beside the input. What was written for a time that is not stated was written for five minutes.
 *
 * @param {Record<string, unknown>} usage
 * @returns {Usage}
 */
function anthropic(usage) {
  const divided = part(usage, "cache_creation");
  const oneHour = count(divided, "ephemeral_1h_input_tokens");
  const rest = Math.max(count(usage, "cache_creation_input_tokens") - oneHour, 0);
  return {
    input: count(usage, "input_tokens"),
    output: count(usage, "output_tokens"),
    cacheRead: count(usage, "cache_read_input_tokens"),
    cacheWrite5Min: Math.max(count(divided, "ephemeral_5m_input_tokens"), rest),
    cacheWrite1Hour: oneHour,
    searches: count(part(usage, "server_tool_use"), "web_search_requests"),
  };
}

/**
 * Cached tokens are inside the input.
 *
 * @param {Record<string, unknown>} usage
 * @returns {Usage}
 */
function openai(usage) {
  const ofInput = part(usage, "prompt_tokens_details", "input_tokens_details");
  const ofOutput = part(usage, "completion_tokens_details", "output_tokens_details");
  const whole = count(usage, "prompt_tokens", "input_tokens");
  const read = Math.max(count(ofInput, "cached_tokens"), count(usage, "cache_read_input_tokens"));
  const written = count(usage, "cache_creation_input_tokens");
  const rest = read + written <= whole ? whole - read - written : whole;
  const [reasoning, audio] = [count(ofOutput, "reasoning_tokens"), count(ofOutput, "audio_tokens")];
  const output = count(usage, "completion_tokens", "output_tokens");
  return {
    input: rest,
    // Parts that are more than the whole are beside it.
    output: reasoning + audio > output ? output + reasoning + audio : output,
    cacheRead: read,
    cacheWrite5Min: written,
    reasoning,
    audioInput: Math.min(count(ofInput, "audio_tokens"), rest),
    audioOutput: audio,
  };
}

/** @param {Record<string, unknown> | null} usage @param {...string} names @returns {number} */
function count(usage, ...names) {
  for (const name of names) {
    const value = usage?.[name];
    if (typeof value === "number" && Number.isSafeInteger(value)) {
      return Math.max(value, 0);
    }
  }
  return 0;
}

/** @param {unknown} whole @param {...string} names @returns {Record<string, unknown> | null} */
function part(whole, ...names) {
  for (const name of names) {
    const value = typeof whole === "object" && whole !== null ? Reflect.get(whole, name) : undefined;
    if (typeof value === "object" && value !== null) {
      return /** @type {Record<string, unknown>} */ (value);
    }
  }
  return null;
}
