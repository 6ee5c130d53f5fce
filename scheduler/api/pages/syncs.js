// The list of syncs: quick with a thousand of them, kept current by events.

import {action, may, pause_sync, run_sync} from "./actions.js";
import {get, path} from "./api.js";
import {badge, button, choice, field, h, link, put} from "./dom.js";
import {age, bytes, count, due, plural, span, when} from "./format.js";
import {Table} from "./table.js";

const FEW = 5; // changed syncs that are asked for one by one; more of them: the whole list
const GATHER_MS = 500;

let known = []; // what was shown last; the list is there at once when one comes back

export const sync_link = (name) => link(`#/syncs/${encodeURIComponent(name)}`, name);
export const run_link = (run, words) => link(`#/runs/${encodeURIComponent(run)}`, words ?? run);

export const is_running = (sync) => sync.phase !== "idle";

const FILTERS = [
    ["all", "All", () => true],
    ["running", "Running", is_running],
    ["held", "Held", (s) => s.held],
    ["failed", "Failed", (s) => s.last_run?.status === "failed"],
    ["warning", "Warning", (s) => s.last_run?.status === "warning"],
    ["streams", "Streams", (s) => Boolean(s.stream)],
    ["paused", "Paused", (s) => s.paused || s.destination_paused],
    ["success", "Fine", (s) => s.last_run?.status === "success" && !s.held],
    ["never", "Never ran", (s) => !s.last_run],
];

/** How a sync does, in one word each. */
export function sync_badges(s) {
    const words = [];
    if (s.held)
        words.push(badge("held"));
    else if (is_running(s))
        words.push(badge("running", "sending"));
    else
        words.push(s.last_run ? badge(s.last_run.status) : badge("never ran", "never"));
    if (s.paused)
        words.push(" ", badge("paused"));
    if (s.destination_paused)
        words.push(" ", badge("destination paused", "paused"));
    return words;
}

/** A stream that does not flow: what is wrong is told beside it. */
export const ails = (stream) => ["opening", "resting"].includes(stream.phase) || (["flowing", "rolling"].includes(stream.phase) && Boolean(stream.why));

/** How far a stream is behind, as far as its source can tell. */
export function lag_words(stream) {
    const parts = [];
    const behind = Math.max(stream.lag_seconds ?? 0, stream.waits_seconds);
    if (behind > 0 || stream.lag_seconds !== null)
        parts.push(behind >= 0.1 ? `${span(behind)} behind` : "up to date");
    if (stream.lag_records)
        parts.push(`${plural(stream.lag_records, "record", "records")} behind`);
    if (stream.lag_bytes > 1e6)
        parts.push(`${bytes(stream.lag_bytes)} of log held back`);
    if (stream.pending)
        parts.push(`${count(stream.pending)} pending`);
    return parts.join(", ");
}

export const stream_badge = (stream) => badge(stream.phase, ails(stream) ? "failed" : {held: "held", reading: "reading", paused: "paused"}[stream.phase] ?? "sending");

function stream_cell(s) {
    const shown = stream_badge(s.stream);
    const small = [lag_words(s.stream), s.stream.why].filter(Boolean).join(": ");
    return [s.run ? run_link(s.run, shown) : shown, small ? h("span", {class: "small waits"}, small) : null];
}

function phase_cell(s) {
    if (s.stream)
        return stream_cell(s);
    const words = is_running(s) ? [s.run ? run_link(s.run, badge(s.phase)) : badge(s.phase)] : [h("span", {class: "none"}, "idle")];
    if (s.waits_for)
        words.push(h("span", {class: "small waits"}, s.waits_for));
    return words;
}

function last_cell(s) {
    const r = s.last_run;
    if (!r)
        return h("span", {class: "none"}, "–");
    const bad = r.counts.rejected + r.counts.failed + r.counts.invalid;
    return [run_link(r.id, when(r.ended_at ?? r.started_at)),
        h("span", {class: "small"}, `${count(r.counts.succeeded)} sent${bad ? `, ${count(bad)} not` : ""}`)];
}

function next_cell(s) {
    if (s.paused)
        return h("span", {class: "none"}, "paused");
    return [due(s.next_at, s.held ? "waits for approval" : s.stream ? "streams" : "not by time"), h("span", {class: "small"}, s.schedule)];
}

function actions_cell(s) {
    return h("div", {class: "buttons"},
        action("Run", () => run_sync(s.name), {"aria-label": `Run ${s.name}`}),
        action(s.paused ? "Resume" : "Pause", () => pause_sync(s.name, !s.paused),
            {class: "quiet", "aria-label": `${s.paused ? "Resume" : "Pause"} ${s.name}`}));
}

const badness = (s) => (s.held ? 0 : {failed: 1, warning: 2, cancelled: 3, success: 4}[s.last_run?.status] ?? 5);

const columns = () => [
    {key: "name", label: "Sync", class: "first", sort: (s) => s.name, cell: (s) => [sync_link(s.name),
        h("span", {class: "small"}, `${s.model} → ${s.destination}${s.object ? ` ${s.object}` : ""}, ${s.mode}`)]},
    {key: "status", label: "Status", sort: badness, cell: sync_badges},
    {key: "phase", label: "Phase", sort: (s) => (is_running(s) ? 0 : s.waits_for ? 1 : 2), cell: phase_cell},
    {key: "last", label: "Last run", sort: (s) => Date.parse(s.last_run?.started_at ?? 0) || 0, cell: last_cell},
    {key: "next", label: "Next run", sort: (s) => Date.parse(s.next_at ?? 0) || Infinity, cell: next_cell},
    {key: "fresh", label: "Freshness", sort: (s) => Date.parse(s.fresh_at ?? 0) || 0, cell: (s) => age(s.fresh_at, "never")},
    ...(may("operator") ? [{key: "actions", label: "Actions", class: "actions", cell: actions_cell}] : []),
];

const searched = (s) => `${s.name} ${s.model} ${s.source} ${s.destination} ${s.object ?? ""} ${s.mode} ${s.schedule}`.toLowerCase();

export function syncs_view(ctx) {
    let only = FILTERS.some(([key]) => key === ctx.query.show) ? ctx.query.show : "all";
    let destination = ctx.query.destination ?? "";
    let words = ctx.query.q ?? "";
    const stale = new Set();
    let timer = 0;

    const table = new Table({
        caption: "Syncs", columns: columns(), id: (s) => s.name, sort: ctx.query.sort ?? "name",
        sorted: (sort) => ctx.set_query({sort: sort === "name" ? "" : sort}), empty: "No sync fits.", kind: `many ${may("operator") ? "" : "read-only"}`,
    });
    const search = h("input", {type: "search", id: "search", value: words, autocomplete: "off", spellcheck: "false",
        placeholder: "Name, model, destination  ( / )", oninput: () => {
            words = search.value;
            ctx.set_query({q: words});
            show();
        }});
    const chips = h("div", {class: "chips", role: "group", "aria-label": "Show"});
    const chip_buttons = new Map(FILTERS.map(([key, label]) => [key, button(label, () => {
        only = key;
        ctx.set_query({show: key === "all" ? "" : key});
        show();
    })]));
    chips.append(...chip_buttons.values());
    const destinations = h("span");
    const total = h("p", {class: "small", role: "status"});
    const node = h("div", null, h("h1", {tabindex: "-1"}, "Syncs"),
        h("div", {class: "filters"}, field("Search", search), destinations), chips, total, table.node);

    function show_destinations() {
        const names = [...new Set(known.map((s) => s.destination))].sort();
        if (destination && !names.includes(destination))
            names.push(destination);
        put(destinations, names.length < 2 ? null : field("Destination", choice([["", "All"], ...names.map((n) => [n, n])], destination, (value) => {
            destination = value;
            ctx.set_query({destination});
            show();
        }, {id: "destination"})));
    }

    function show() {
        const parts = words.toLowerCase().split(/\s+/).filter(Boolean);
        const found = known.filter((s) => (!destination || s.destination === destination) && parts.every((part) => searched(s).includes(part)));
        for (const [key, label, fits] of FILTERS) {
            const n = found.filter(fits).length;
            put(chip_buttons.get(key), `${label} `, h("b", null, count(n)));
            chip_buttons.get(key).setAttribute("aria-pressed", String(key === only));
            chip_buttons.get(key).hidden = n === 0 && !["all", only].includes(key);
        }
        const fits = FILTERS.find(([key]) => key === only)[2];
        const rows = found.filter(fits);
        table.update(rows);
        total.textContent = rows.length === known.length ? plural(known.length, "sync") : `${count(rows.length)} of ${plural(known.length, "sync")}`;
    }

    function put_sync(sync) {
        const at = known.findIndex((s) => s.name === sync.name);
        if (at < 0)
            known.push(sync);
        else
            known[at] = sync;
    }

    async function load(signal) {
        known = (await get("syncs", signal)).syncs;
        show_destinations();
        show();
    }

    /** Many events at once become one question. */
    async function catch_up() {
        timer = 0;
        const names = [...stale];
        stale.clear();
        try {
            if (names.length > FEW) {
                await load(ctx.signal);
                return;
            }
            show();
            (await Promise.all(names.map((name) => get(path(["syncs", name]), ctx.signal)))).forEach(put_sync);
            if (names.length)
                show();
        } catch {
            // the next event or poll asks again
        }
    }

    /** What an event says is shown at once; what it does not say is asked for when a run has ended. */
    function event(kind, data) {
        if (kind === "sync" && data.schedule)
            put_sync(data);
        else if (kind === "run") {
            const sync = known.find((s) => s.name === data.sync);
            if (sync)
                put_sync({...sync, last_run: data, held: data.status === "held", phase: data.phase, run: data.phase === "idle" ? null : data.id});
            if (!sync || data.phase === "idle")
                stale.add(data.sync);
        } else
            known.forEach((s) => stale.add(s.name));
        if (!timer)
            timer = setTimeout(catch_up, GATHER_MS);
    }

    if (known.length) {
        show_destinations();
        show();
    }
    return {title: "Syncs", node, load, event, search, poll_ms: 5000, calm_ms: 60000, close: () => clearTimeout(timer)};
}
