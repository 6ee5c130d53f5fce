// One sync: how it does, what it maps, and its history.

import {action, pause_sync, plan_sync, retry, run_full, run_sync} from "./actions.js";
import {get, path} from "./api.js";
import {rate_chart, verdict_chart} from "./charts.js";
import {badge, facts, h, link, note, put, swap} from "./dom.js";
import {age, bytes, count, due, plural, span, when} from "./format.js";
import {runs_table} from "./runs.js";
import {is_running, run_link, stream_badge, sync_badges} from "./syncs.js";

const HISTORY = 60;

/** A limit of the configuration as its file has it. */
function guard_words(guard) {
    return Object.entries(guard ?? {}).filter(([, value]) => value !== null && value !== false)
        .map(([name, value]) => `${name}: ${value}`).join(", ");
}

function mapping_row(m) {
    if (m.from === "*")
        return h("tr", {role: "row"}, h("td", {role: "cell", "data-label": "From"}, "every column"),
            h("td", {role: "cell", "data-label": "To"}, "the field of its own name"));
    const from = m.from !== undefined ? [h("code", null, m.from)]
        : m.template !== undefined ? ["template ", h("code", null, m.template)] : ["always ", h("code", null, JSON.stringify(m.value))];
    return h("tr", {role: "row"}, h("td", {role: "cell", "data-label": "From"}, from),
        h("td", {role: "cell", "data-label": "To"}, h("code", null, m.to)));
}

function mappings_section(s) {
    const list = s.mappings ?? [];
    const body = !list.length ? note("None.") : h("div", {class: "table"}, h("table", {role: "table"}, h("caption", {class: "unseen"}, "Mappings"),
            h("thead", {role: "rowgroup"}, h("tr", {role: "row"}, ["From the model", "To the destination"].map((words) =>
                h("th", {scope: "col", role: "columnheader"}, words)))),
            h("tbody", {role: "rowgroup"}, list.map(mapping_row))));
    return [h("h2", null, "Mappings"), body];
}

/** What only a sync that streams has. */
function stream_facts(stream) {
    if (!stream)
        return [];
    const known = (value, words) => (value === null ? null : words(value));
    return [
        ["Stream", [stream_badge(stream), stream.since ? [" for ", age(stream.since)] : null]],
        ["Why", stream.why],
        ["Behind", known(stream.lag_seconds, (s) => (s >= 0.1 ? span(s) : "up to date"))],
        ["Oldest change waits", stream.waits_seconds ? span(stream.waits_seconds) : "none waits"],
        ["Pending", plural(stream.pending, "key")],
        ["In flight", plural(stream.in_flight, "record")],
        ["Records behind", known(stream.lag_records, count)],
        ["Log held back", known(stream.lag_bytes, bytes)],
        ["Slot", stream.slot && h("code", null, stream.slot)],
        ["Publication", stream.publication && h("code", null, stream.publication)],
        ["Place", stream.place && h("code", null, stream.place)],
        ["Note", stream.note],
        ["Last reconciliation", known(stream.drift, (n) => (n ? `found ${plural(n, "record")}` : "found nothing"))],
        ["Reads the model anew", stream.reconcile && due(stream.reconcile, "never")],
    ];
}

function summary(s) {
    const refused = s.counts?.refused ?? 0;
    return facts([
        ["Status", sync_badges(s)],
        ["Phase", is_running(s) ? (s.run ? run_link(s.run, badge(s.phase)) : badge(s.phase)) : "idle"],
        ["Waits for", s.waits_for],
        ["Last run", s.last_run && run_link(s.last_run.id, when(s.last_run.ended_at ?? s.last_run.started_at))],
        ["Next run", s.paused ? "paused" : due(s.next_at, s.held ? "waits for approval" : s.stream ? "streams" : "not by time")],
        ["Schedule", s.schedule],
        ...stream_facts(s.stream),
        ["Freshness", age(s.fresh_at, "never")],
        ["Accepted", s.counts && plural(s.counts.accepted, "record")],
        ["Quarantined", s.counts && (refused ? link(`#/quarantine?sync=${encodeURIComponent(s.name)}`, count(refused)) : "none")],
        ["In doubt", s.counts?.doubt ? plural(s.counts.doubt, "record") : null],
        ["Source", `${s.source}, model ${s.model}`],
        ["Destination", [link("#/destinations", s.destination), s.object ? ` ${s.object}` : ""]],
        ["Mode", s.mode],
        ["Primary key", [s.primary_key ?? []].flat().join(", ")],
        ["Identified by", [s.identify_by ?? []].flat().join(", ")],
        ["Priority", s.priority],
        ["Guards", guard_words(s.guard)],
    ]);
}

function buttons(s, changed) {
    const then = (doing) => async () => {
        if (await doing)
            changed();
    };
    return h("div", {class: "buttons"},
        action("Run", () => then(run_sync(s.name))(), {class: "primary"}),
        action("Plan", () => plan_sync(s.name), {title: "Find what a run would send, and send nothing"}),
        action("Full run", () => then(run_full(s.name))()),
        action(s.paused ? "Resume" : "Pause", () => then(pause_sync(s.name, !s.paused))()),
        s.counts?.refused ? action("Retry refused", () => then(retry(s.name))()) : null,
        link(`#/errors?sync=${encodeURIComponent(s.name)}`, "Errors"),
        link(`#/records?sync=${encodeURIComponent(s.name)}`, "Look up a record"));
}

/** What a held sync waits for; also shown above its run. */
function held_box(s) {
    if (!s.held || !s.last_run)
        return null;
    return h("div", {class: "box held", role: "region", "aria-label": "Held"},
        h("p", null, h("b", null, "Held: "), s.last_run.reason || "its plan is unusual"),
        h("p", null, run_link(s.last_run.id, "Look at the plan, approve or reject it")));
}

export function sync_view(ctx) {
    const name = ctx.args[0];
    const head = h("div");
    const controls = h("div");
    const held = h("div");
    const charts = h("div", {class: "charts"});
    const mappings = h("div");
    const table = runs_table(`Runs of ${name}`, false);
    const node = h("div", null, h("p", {class: "crumbs"}, link("#/syncs", "Syncs"), " / "), h("h1", {tabindex: "-1"}, name),
        controls, held, head, h("h2", null, "History"), charts, table.node,
        h("p", null, link(`#/runs?sync=${encodeURIComponent(name)}`, "All runs of this sync")), mappings);
    let drawn = "";

    /** Buttons are made anew only when they say something else: their listeners are not compared. */
    function show_controls(sync) {
        const looks = JSON.stringify([sync.paused, Boolean(sync.counts?.refused)]);
        if (looks !== drawn)
            swap(controls, buttons(sync, () => load(ctx.signal).catch(() => {})));
        drawn = looks;
    }

    async function load(signal) {
        const [sync, history] = await Promise.all([
            get(path(["syncs", name]), signal), get(path(["runs"], {sync: name, limit: HISTORY}), signal)]);
        put(head, summary(sync));
        show_controls(sync);
        put(held, held_box(sync));
        const drawings = [verdict_chart(history.runs), rate_chart(history.runs)].filter(Boolean);
        put(charts, drawings.length ? drawings : note("Charts appear after two runs."));
        put(mappings, mappings_section(sync));
        table.update(history.runs.slice(0, 20));
    }

    function event(kind, data) {
        const about = kind === "run" ? data.sync : data.name ?? data;
        if ((kind === "run" || kind === "sync") && about !== name)
            return;
        ctx.soon();
    }

    return {title: name, node, load, event, poll_ms: 3000, calm_ms: 30000};
}
