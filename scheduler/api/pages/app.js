// The page around the views: which one is shown, when it is refreshed, who is logged in, and how the scheduler is.

import {ApiError, get, on_unauthorized, post} from "./api.js";
import {reload, set_role} from "./actions.js";
import {audit_view} from "./audit.js";
import {destinations_view} from "./destinations.js";
import {badge, button, field, h, note, put} from "./dom.js";
import {error_records_view, errors_view, quarantine_view, record_view} from "./errors.js";
import {plural, tick} from "./format.js";
import * as live from "./live.js";
import {run_view} from "./run.js";
import {runs_view} from "./runs.js";
import {sync_view} from "./sync.js";
import {syncs_view} from "./syncs.js";

const STATUS_MS = 10000;
const SOON_MS = 500; // many events at once become one question
const TURN_MS = 250;
const TICK_MS = 1000;

// A view gives {title, node, load(signal)} and, where it can, event(kind, data), search, close, done and how often
// it is read again: every poll_ms without events, every calm_ms with them.
const ROUTES = [
    [/^syncs$/, syncs_view],
    [/^syncs\/([^/]+)$/, sync_view],
    [/^runs$/, runs_view],
    [/^runs\/([^/]+)$/, run_view],
    [/^destinations$/, destinations_view],
    [/^errors$/, errors_view],
    [/^errors\/records$/, error_records_view],
    [/^quarantine$/, quarantine_view],
    [/^records$/, record_view],
    [/^audit$/, audit_view],
];

const main = document.getElementById("main");
const by_id = (id) => document.getElementById(id);

let view = null;
let abort = new AbortController();
let due_ms = Infinity;
let status = null;
let logging_in = false;

// ---- routing ----

function location_parts() {
    const [place, query] = location.hash.replace(/^#\/?/, "").split("?");
    return {place: place || "syncs", query: Object.fromEntries(new URLSearchParams(query))};
}

/** Keeps a filter in the address, so that it can be shared, without a step in the history. */
function set_query(change) {
    const {place, query} = location_parts();
    const set = Object.entries({...query, ...change}).filter(([, value]) => value);
    history.replaceState(null, "", `#/${place}${set.length ? `?${new URLSearchParams(set)}` : ""}`);
}

function mark_nav(place) {
    const top = `#/${place.split("/")[0]}`;
    for (const a of by_id("nav").querySelectorAll("a")) {
        if (a.getAttribute("href") === top)
            a.setAttribute("aria-current", "page");
        else
            a.removeAttribute("aria-current");
    }
}

function leave() {
    abort.abort();
    view?.close?.();
    view = null;
    due_ms = Infinity;
}

function route(moved) {
    if (logging_in)
        return;
    leave();
    const {place, query} = location_parts();
    mark_nav(place);
    const [pattern, make] = ROUTES.find(([p]) => p.test(place)) ?? [];
    if (!make) {
        main.replaceChildren(h("h1", {tabindex: "-1"}, "Not here"), note("There is no such page."));
        return;
    }
    abort = new AbortController();
    const args = place.match(pattern).slice(1).map(decodeURIComponent);
    view = make({args, query, set_query, signal: abort.signal, again: () => load(view), soon: () => (due_ms = Math.min(due_ms, performance.now() + SOON_MS))});
    document.title = `${view.title} – Sluice`;
    main.replaceChildren(view.node);
    main.setAttribute("aria-busy", "true");
    if (moved === true) {
        main.querySelector("h1")?.focus({preventScroll: true});
        window.scrollTo(0, 0);
    }
    load(view);
}

function failed_box(error, what) {
    return h("div", {class: "box error", id: "load-error"}, h("p", null, error.message),
        error.status !== 403 && h("div", {class: "buttons"}, button("Try again", () => load(what))));
}

/** Reads what the view shows; a failure is told once and tried again. */
async function load(what) {
    if (!what || what !== view)
        return;
    due_ms = Infinity;
    try {
        await what.load(abort.signal);
        if (what !== view)
            return;
        by_id("load-error")?.remove();
    } catch (error) {
        if (error.name === "AbortError" || what !== view || error.status === 401)
            return;
        if (!(error instanceof ApiError))
            console.error(error);
        by_id("load-error")?.remove();
        main.append(failed_box(error, what));
    }
    main.removeAttribute("aria-busy");
    schedule();
}

function schedule() {
    const wait_ms = live.connected ? view.calm_ms : view.poll_ms;
    if (wait_ms && !view.done?.())
        due_ms = Math.min(due_ms, performance.now() + wait_ms); // soon() may have been called meanwhile
}

function turn() {
    if (view && !document.hidden && performance.now() >= due_ms)
        load(view);
}

// ---- the scheduler's status ----

function banner(...content) {
    const node = by_id("banner");
    put(node, content);
    node.hidden = !content.length;
}

function show_status() {
    put(by_id("ready"), status.ready ? (status.why ? [badge("ready", "success"), ` ${status.why}`] : badge("ready", "success")) : [badge("not ready", "warning"), ` ${status.why ?? ""}`]);
    put(by_id("workers"), plural(status.workers ?? 0, "worker"));
    put(by_id("who"), status.name ? `${status.name} (${status.role})` : status.role);
    put(by_id("version"), status.shards > 1 ? `Sluice ${status.version}, shard ${status.shard} of ${status.shards}` : `Sluice ${status.version}`);
    by_id("logout").hidden = ["anyone", "local"].includes(status.name ?? "anyone"); // no token was asked for
    for (const node of document.querySelectorAll("[data-role=admin]"))
        node.hidden = status.role !== "admin";
    if (status.reload_error)
        banner(h("p", null, h("b", null, "The configuration on disk was refused; the earlier one stays in force.")), h("pre", null, status.reload_error));
    else
        banner();
}

async function read_status() {
    try {
        status = await get("status");
        set_role(status.role);
        show_status();
        return true;
    } catch (error) {
        if (error.status === 401)
            return false;
        put(by_id("ready"), badge("not reached", "failed"));
        banner(h("p", null, `${error.message}; trying again.`));
        return false;
    }
}

function show_live(connected) {
    put(by_id("live"), connected ? "live" : "polling");
    if (status && !logging_in)
        read_status(); // the scheduler may have gone, or come back as another
    if (view && connected)
        load(view); // what happened meanwhile
    else if (view && due_ms < Infinity)
        schedule();
}

function on_event(kind, data) {
    if (kind === "reload")
        read_status();
    view?.event?.(kind, data);
}

// ---- logging in ----

function login() {
    if (logging_in)
        return;
    logging_in = true;
    leave();
    live.close();
    const token = h("input", {type: "password", id: "token", required: true, autocomplete: "current-password", spellcheck: "false"});
    const problem = h("p", {role: "alert", class: "problem"});
    const form = h("form", {class: "login", onsubmit: async (event) => {
        event.preventDefault();
        try {
            await post("login", {token: token.value});
        } catch (error) {
            problem.textContent = error.status === 401 ? "This token is not known." : error.message;
            token.select();
            return;
        }
        token.value = "";
        logging_in = false;
        await begin();
    }}, h("h1", {tabindex: "-1"}, "Log in"), note("This scheduler asks for a token; its configuration has their names and roles."),
    field("Token", token), problem, h("button", {type: "submit", class: "primary"}, "Log in"));
    document.title = "Log in – Sluice";
    for (const id of ["ready", "live", "workers", "who", "version"])
        put(by_id(id));
    main.replaceChildren(form);
    main.removeAttribute("aria-busy");
    token.focus();
}

async function begin() {
    if (await read_status()) {
        live.connect();
        route(false);
    } else if (!logging_in) {
        main.replaceChildren(note("The scheduler cannot be reached."));
        setTimeout(begin, STATUS_MS / 5);
    }
}

// ---- keys ----

function typing(node) {
    return node.matches("input, select, textarea, [contenteditable]");
}

function on_key(event) {
    if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !typing(event.target) && view?.search) {
        event.preventDefault();
        view.search.focus();
        view.search.select();
    } else if (event.key === "Escape" && view?.search === event.target) {
        event.target.value = "";
        event.target.dispatchEvent(new Event("input"));
        event.target.dispatchEvent(new Event("change"));
        event.target.blur();
        main.focus({preventScroll: true});
    }
}

function skip(event) {
    event.preventDefault(); // the address names the view
    main.focus();
}

on_unauthorized(login);
window.addEventListener("hashchange", () => route(true));
document.addEventListener("keydown", on_key);
by_id("skip").addEventListener("click", skip);
by_id("reload").addEventListener("click", async () => {
    await reload();
    read_status();
});
by_id("logout").addEventListener("click", async () => {
    await post("logout").catch(() => {}); // without an answer the session ends by itself
    location.reload();
});
setInterval(turn, TURN_MS);
setInterval(tick, TICK_MS);
setInterval(() => document.hidden || logging_in || read_status(), STATUS_MS);
document.addEventListener("visibilitychange", () => {
    if (document.hidden)
        live.close();
    else if (!logging_in)
        live.connect();
});
live.listen(on_event, show_live);
show_live(false);
begin();
