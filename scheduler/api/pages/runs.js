// The history of runs with its filters.

import {get, path} from "./api.js";
import {rate_of} from "./charts.js";
import {badge, button, choice, field, h} from "./dom.js";
import {count, plural, rough, span, when} from "./format.js";
import {run_link, sync_link} from "./syncs.js";
import {Table} from "./table.js";

const PAGE = 100;
const STATUSES = ["reading", "planned", "held", "success", "warning", "failed", "cancelled", "superseded"];

/** The status, or the phase of a run under way. */
export function run_badge(run) {
    const under_way = run.status === "reading" || run.status === "planned";
    return badge(under_way && run.phase && run.phase !== "idle" ? run.phase : run.status);
}

function verdict_words(run) {
    const c = run.counts;
    const parts = [`${count(c.succeeded)} of ${count(c.planned)} sent`];
    for (const name of ["rejected", "failed", "cancelled", "invalid"])
        if (c[name])
            parts.push(`${count(c[name])} ${name}`);
    return parts.join(", ");
}

export function runs_table(caption, with_sync = true) {
    const columns = [
        {key: "started", label: "Started", class: "first", cell: (r) => run_link(r.id, when(r.started_at))},
        ...(with_sync ? [{key: "sync", label: "Sync", cell: (r) => sync_link(r.sync)}] : []),
        {key: "status", label: "Status", cell: run_badge},
        {key: "changes", label: "Changes", cell: (r) => `${count(r.counts.added)} added, ${count(r.counts.changed)} changed, ${count(r.counts.removed)} removed`},
        {key: "verdicts", label: "Verdicts", cell: (r) => [verdict_words(r),
            (r.error || r.reason) && h("span", {class: "small words"}, r.error || r.reason)]},
        {key: "took", label: "Took", class: "number", cell: (r) => span(r.seconds ?? 0)},
        {key: "rows", label: "Rows", class: "number", cell: (r) => count(r.counts.rows)},
        {key: "rate", label: "Records/s", class: "number", cell: (r) => (rate_of(r) ? rough(rate_of(r)) : "–")},
        {key: "trigger", label: "Why", cell: (r) => r.trigger ?? ""},
    ];
    return new Table({caption, columns, id: (r) => r.id, empty: "No runs."});
}

export function runs_view(ctx) {
    const filter = {sync: ctx.query.sync ?? "", status: ctx.query.status ?? ""};
    let runs = [];
    let cursor = null;
    let asked = 0;
    const table = runs_table("Runs, newest first");
    const names = h("datalist", {id: "sync-names"});
    const search = h("input", {type: "search", id: "search", list: "sync-names", value: filter.sync, placeholder: "Every sync  ( / )",
        autocomplete: "off", spellcheck: "false", onchange: () => refilter({sync: search.value.trim()})});
    const more = button("Older runs", () => older(), {hidden: true});
    const total = h("p", {class: "small", role: "status"});
    const node = h("div", null, h("h1", {tabindex: "-1"}, "Runs"),
        h("div", {class: "filters"}, field("Sync", search), names,
            field("Status", choice([["", "All"], ...STATUSES.map((s) => [s, s])], filter.status, (status) => refilter({status}), {id: "status"}))),
        total, table.node, h("div", {class: "buttons"}, more));

    const page = (from) => path(["runs"], {...filter, limit: PAGE, cursor: from});

    function show() {
        table.update(runs);
        more.hidden = !cursor;
        total.textContent = `${plural(runs.length, "run")}${cursor ? " shown, there are older ones" : ""}`;
    }

    function refilter(change) {
        Object.assign(filter, change);
        ctx.set_query(change);
        runs = [];
        cursor = null;
        ctx.again();
    }

    /** The newest page; what was loaded of older ones stays. */
    async function load(signal) {
        const turn = ++asked;
        const newest = await get(page(), signal);
        if (turn !== asked)
            return;
        const ids = new Set(newest.runs.map((r) => r.id));
        const older_ones = runs.length > PAGE ? runs.filter((r) => !ids.has(r.id)) : [];
        if (!older_ones.length)
            cursor = newest.next_cursor ?? null;
        runs = [...newest.runs, ...older_ones];
        show();
    }

    async function older() {
        const answer = await get(page(cursor), ctx.signal);
        const ids = new Set(runs.map((r) => r.id));
        runs.push(...answer.runs.filter((r) => !ids.has(r.id)));
        cursor = answer.next_cursor ?? null;
        show();
    }

    function event(kind, run) {
        if (kind !== "run" || !run.counts || (filter.sync && run.sync !== filter.sync))
            return;
        const at = runs.findIndex((r) => r.id === run.id);
        if (filter.status && run.status !== filter.status) {
            if (at >= 0)
                runs.splice(at, 1);
        } else if (at >= 0)
            runs[at] = run;
        else
            runs.unshift(run);
        show();
    }

    get("syncs", ctx.signal).then(({syncs}) => names.append(...syncs.map((s) => h("option", {value: s.name}))), () => {});
    return {title: "Runs", node, load, event, search, poll_ms: 3000, calm_ms: 60000};
}
