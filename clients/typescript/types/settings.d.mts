/** Where Apex is, and how long it is waited for. */
export type Settings = {
    /**
     * `https`, or `http` on loopback. Default: `APEX_URL`.
     */
    url?: string;
    /**
     * An API key. Default: `APEX_TOKEN`.
     */
    token?: string;
    /**
     * Whether the credential may be sent over plain HTTP to another machine. Default: `APEX_INSECURE_HTTP`.
     */
    insecureHttp?: boolean;
    /**
     * How long an operation may take, with all its attempts. Default: 10,000.
     */
    timeoutMs?: number;
    /**
     * How long an attempt may take. Default: 5,000.
     */
    attemptTimeoutMs?: number;
    /**
     * How long a reservation that was not answered is tried to be released in the background. Default: 60,000.
     */
    releaseTimeoutMs?: number;
    /**
     * How long a call that was made while Apex could not be reached is tried to be reported in the background.
     * Default: 600,000.
     */
    reportTimeoutMs?: number;
    /**
     * Whether calls are made without a reservation while Apex cannot be reached, if no hard budget may apply to them.
     * Default: false.
     */
    failOpen?: boolean;
    /**
     * What sends requests. Default: the global one.
     */
    fetch?: typeof globalThis.fetch;
    /**
     * Gets what is not thrown to a caller. Default: `console.warn`.
     */
    onWarning?: (message: string) => void;
};
export type CheckedSettings = Omit<Required<Settings>, "token" | "insecureHttp" | "url"> & {
    endpoint: string;
    headers: Record<string, string>;
};
/**
 * The settings with what the environment adds.
 *
 * @param {Settings} settings
 * @returns {CheckedSettings}
 * @throws {ConfigurationError} If there is no URL, or it is not one that credentials may be sent to.
 */
export declare function check(settings: Settings): CheckedSettings;
