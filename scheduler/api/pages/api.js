// Talks to the scheduler. Every path is relative, so that the dashboard works behind a proxy's folder too.

const ROOT = "api/v1/";
const WAIT_MAX_S = 10;

let skew_ms = 0;
let unauthorized = () => {};

/** The scheduler's wall clock, in milliseconds: a browser's clock may be wrong. */
export const now = () => Date.now() + skew_ms;

/** Called whenever a token is asked for. */
export function on_unauthorized(callback) {
    unauthorized = callback;
}

export class ApiError extends Error {
    constructor(status, body) {
        super(body?.error?.message ?? (status ? `the scheduler answered ${status}` : "the scheduler cannot be reached"));
        this.status = status;
        this.code = body?.error?.code;
        this.problems = body?.error?.problems ?? [];
    }
}

function note_clock(response) {
    const theirs = Date.parse(response.headers.get("Date"));
    if (!Number.isNaN(theirs))
        skew_ms = Math.abs(theirs - Date.now()) > 3000 ? theirs - Date.now() : 0;
}

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

async function send(to, options) {
    let response;
    try {
        response = await fetch(ROOT + to, {credentials: "same-origin", cache: "no-store", ...options});
    } catch (error) {
        throw error.name === "AbortError" ? error : new ApiError(0);
    }
    note_clock(response);
    return response;
}

async function answer(response) {
    const body = await response.json().catch(() => null);
    if (response.ok)
        return body;
    if (response.status === 401)
        unauthorized();
    throw new ApiError(response.status, body);
}

/** GET; asks once more when the scheduler says that it was asked too often. */
export async function get(from, signal) {
    let response = await send(from, {signal, headers: {Accept: "application/json"}});
    if (response.status === 429) {
        await pause(Math.min(WAIT_MAX_S, Number(response.headers.get("Retry-After")) || 1));
        response = await send(from, {signal, headers: {Accept: "application/json"}});
    }
    return answer(response);
}

/** POST of JSON. The header cannot be sent by another site's form. */
export async function post(to, body = {}) {
    return answer(await send(to, {
        method: "POST",
        headers: {"Content-Type": "application/json", "X-Sluice": "1"},
        body: JSON.stringify(body),
    }));
}

/** A path of segments and a query, each encoded; empty parts of the query are left out. */
export function path(segments, query = {}) {
    const text = segments.map(encodeURIComponent).join("/");
    const set = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
    return set.length ? `${text}?${new URLSearchParams(set)}` : text;
}
