// What was not accepted and why: grouped by the destination's own words, then record by record; and the quarantine.

import {action, retry} from "./actions.js";
import {get, path} from "./api.js";
import {badge, button, choice, field, h, link, note, put, swap} from "./dom.js";
import {count, plural, when} from "./format.js";
import {run_link, sync_link} from "./syncs.js";
import {Table} from "./table.js";

const PAGE = 100;

const WHAT_NEXT = {
    rejected: "Quarantined: not sent again until its values or the mapping change, or until a retry.",
    failed: "Attempts were used up; the next run sends these records again.",
    invalid: "Never sent: the row itself has to change in the warehouse.",
};

const record_link = (sync, key) => link(`#/records?${new URLSearchParams({sync, key})}`, h("code", null, key));
const group_id = (g) => JSON.stringify([g.sync, g.kind, g.message]);
const records_link = (g, words) => link(`#/errors/records?${new URLSearchParams({sync: g.sync, message: g.message, kind: g.kind})}`, words);

function samples(g) {
    return h("ul", {class: "samples"}, (g.sample_keys ?? []).map((key) => h("li", null, record_link(g.sync, key))));
}

/** The sync filter that both lists share. */
function sync_filter(ctx, changed) {
    const place = h("span");
    get("syncs", ctx.signal).then(({syncs}) => place.append(field("Sync",
        choice([["", "All"], ...syncs.map((s) => [s.name, s.name])], ctx.query.sync ?? "", changed, {id: "sync"}))), () => {});
    return place;
}

function groups_view(ctx, {title, intro, kinds, empty}) {
    let sync = ctx.query.sync ?? "";
    let words = "";
    let groups = [];
    let other = 0;
    let partial = false;
    let retry_all_of = "";
    const table = new Table({
        caption: title, id: group_id, sort: "-count", empty,
        columns: [
            {key: "message", label: "What it said", class: "first", sort: (g) => g.message, cell: (g) => [records_link(g, g.message),
                h("span", {class: "small"}, WHAT_NEXT[g.kind] ?? "")]},
            {key: "sync", label: "Sync", sort: (g) => g.sync, cell: (g) => sync_link(g.sync)},
            ...(kinds.length > 1 ? [{key: "kind", label: "Kind", sort: (g) => g.kind, cell: (g) => badge(g.kind)}] : []),
            {key: "count", label: "Records", class: "number", sort: (g) => g.count, cell: (g) => records_link(g, count(g.count))},
            {key: "samples", label: "For example", cell: samples},
            {key: "last", label: "Last", sort: (g) => Date.parse(g.last_at), cell: (g) => when(g.last_at)},
            {key: "actions", label: "Actions", class: "actions", cell: (g) => (g.kind === "rejected"
                ? action("Retry", () => retry(g.sync, {message: g.message}).then(() => ctx.again()), {"aria-label": `Retry ${g.sync}: ${g.message}`}) : "")},
        ],
    });
    const search = h("input", {type: "search", id: "search", placeholder: "Words of the message  ( / )", autocomplete: "off", oninput: () => {
        words = search.value.toLowerCase();
        show();
    }});
    const total = h("p", {class: "small", role: "status"});
    const all = h("div", {class: "buttons"});
    const node = h("div", null, h("h1", {tabindex: "-1"}, title), h("p", {class: "small"}, intro),
        h("div", {class: "filters"}, field("Search", search), sync_filter(ctx, (value) => {
            sync = value;
            ctx.set_query({sync});
            ctx.again();
        })), total, table.node, all);

    function show() {
        const found = groups.filter((g) => kinds.includes(g.kind) && (!words || `${g.sync} ${g.message}`.toLowerCase().includes(words)));
        table.update(found);
        const records = found.reduce((sum, g) => sum + g.count, 0);
        total.textContent = (found.length ? `${plural(records, "record")} in ${plural(found.length, "group")}` : "")
            + (other ? `; ${plural(other, "record")} of further messages` : "") + (partial ? "; there are more than were looked at" : "");
        const refused = found.some((g) => g.kind === "rejected") ? sync : "";
        if (refused === retry_all_of)
            return;
        retry_all_of = refused;
        swap(all, refused && action(`Retry all refused of ${refused}`, () => retry(refused).then(() => ctx.again())));
    }

    async function load(signal) {
        ({groups, other = 0, partial = false} = await get(path(["errors"], {sync}), signal));
        show();
    }

    /** A run that has ended leaves and takes errors. */
    function event(kind, run) {
        if (kind === "run" && run.ended_at && (!sync || run.sync === sync))
            ctx.soon();
    }

    return {title, node, load, event, search, poll_ms: 10000, calm_ms: 30000};
}

export const errors_view = (ctx) => groups_view(ctx, {
    title: "Errors", kinds: ["rejected", "failed", "invalid"], empty: "Nothing was refused, failed or invalid.",
    intro: "Records that did not arrive, by the destination's own words. Of each record the newest is kept.",
});

export const quarantine_view = (ctx) => groups_view(ctx, {
    title: "Quarantine", kinds: ["rejected"], empty: "No record is in quarantine.",
    intro: "Records that a destination refused for good. They are not sent again until their values or the mapping change, or until a retry.",
});

export function error_records_view(ctx) {
    const {sync = "", message = "", kind = ""} = ctx.query;
    let records = [];
    let cursor = null;
    const table = new Table({
        caption: "Records", id: (r) => JSON.stringify([r.key, r.kind]), empty: "None any more.",
        columns: [
            {key: "key", label: "Record", class: "first", cell: (r) => record_link(r.sync, r.key)},
            {key: "kind", label: "Kind", cell: (r) => badge(r.kind)},
            {key: "message", label: "What it said", cell: (r) => [h("span", {class: "words"}, r.message),
                (r.request || r.status) && h("span", {class: "small words"}, [r.request, r.status && `answer ${r.status}`].filter(Boolean).join(", "))]},
            {key: "run", label: "Run", cell: (r) => (r.run ? run_link(r.run, when(r.at)) : when(r.at))},
            {key: "actions", label: "Actions", class: "actions", cell: (r) => (r.kind === "rejected"
                ? action("Retry", () => retry(r.sync, {key: r.key}).then(() => ctx.again()), {"aria-label": `Retry ${r.key}`}) : "")},
        ],
    });
    const more = button("More records", () => load_more(), {hidden: true});
    const node = h("div", null, h("p", {class: "crumbs"}, link("#/errors", "Errors"), " / "), h("h1", {tabindex: "-1"}, "Records of ", sync),
        h("p", {class: "box words"}, message || "Every error of this sync"), h("p", {class: "small"}, WHAT_NEXT[kind] ?? ""),
        h("div", {class: "buttons"}, kind === "rejected" && action("Retry this group", () => retry(sync, {message}).then(() => ctx.again()))),
        table.node, h("div", {class: "buttons"}, more));

    async function page(from, signal) {
        const answer = await get(path(["errors", "records"], {sync, message, limit: PAGE, cursor: from}), signal);
        const fitting = kind ? answer.records.filter((r) => r.kind === kind) : answer.records;
        return [fitting, answer.next_cursor ?? null];
    }

    function show() {
        table.update(records);
        more.hidden = !cursor;
    }

    async function load(signal) {
        if (records.length > PAGE)
            return; // somebody reads on; a press of the browser's button begins anew
        [records, cursor] = await page(null, signal);
        show();
    }

    async function load_more() {
        const [next, after] = await page(cursor, ctx.signal);
        const known = new Set(records.map((r) => JSON.stringify([r.key, r.kind])));
        records = [...records, ...next.filter((r) => !known.has(JSON.stringify([r.key, r.kind])))];
        cursor = after;
        show();
    }

    return {title: "Errors", node, load, poll_ms: 15000, calm_ms: 15000};
}

/** What happened to one record of one sync. */
export function record_view(ctx) {
    let syncs = [];
    const key = h("input", {type: "search", id: "search", value: ctx.query.key ?? "", required: true, autocomplete: "off", spellcheck: "false",
        placeholder: "Primary key, say 42 or {\"id\":42}  ( / )"});
    const place = h("select", {id: "sync", required: true});
    const result = h("div", {"aria-live": "polite"});
    const form = h("form", {class: "filters", onsubmit: (event) => {
        event.preventDefault();
        ctx.set_query({sync: place.value, key: key.value.trim()});
        look().catch(() => {});
    }}, field("Sync", place), field("Key", key), h("button", {type: "submit", class: "primary"}, "Look up"));
    const node = h("div", null, h("h1", {tabindex: "-1"}, "Look up a record"),
        h("p", {class: "small"}, "What happened to this customer: by sync and primary key, as the warehouse has it."), form, result);

    function verdict(r) {
        if (r.refused)
            return badge("refused", "failed");
        if (r.in_doubt)
            return badge("in doubt", "warning");
        return r.accepted ? badge("accepted", "success") : badge("not known", "never");
    }

    function explain(r) {
        if (r.refused?.removal)
            return "The destination refused to remove it; it is tried again after a retry.";
        if (r.refused)
            return "The destination refused it; it stays as it was there until its values change or it is tried again.";
        if (r.in_doubt)
            return "An attempt ended without an answer: the destination may or may not hold its latest values. The next run sends it again.";
        if (r.absent)
            return "The destination accepted it once; it has left the model since, and this sync does not remove.";
        return r.accepted ? "The destination accepted its latest values." : "No record of this key was accepted by the destination.";
    }

    function history(r) {
        const list = r.history ?? [];
        if (!list.length)
            return null;
        return [h("h2", null, "History"), h("ol", {class: "history"}, list.map((entry) => h("li", null,
            h("p", null, entry.at && when(entry.at), " ", entry.kind && badge(entry.kind), " ", entry.run && run_link(entry.run, "its run")),
            entry.message && h("p", {class: "words"}, entry.message),
            (entry.request || entry.status) && h("p", {class: "small words"},
                [entry.request, entry.status && `answer ${entry.status}`].filter(Boolean).join(", ")))))];
    }

    /** What went out, newest first: with what came back, and the values for whoever may see them. */
    function sent(r) {
        const list = r.sent ?? [];
        if (!list.length)
            return null;
        return [h("h2", null, "Sent"), h("ol", {class: "history"}, list.map((entry) => h("li", null,
            h("p", null, when(entry.at), " ", badge(entry.verdict), " ", entry.op, " in batch ", h("code", null, entry.batch), " of ",
                run_link(entry.run, "its run")),
            entry.message && h("p", {class: "words"}, entry.message),
            entry.fields && h("pre", {class: "words"}, JSON.stringify(entry.fields, null, 1)),
            request_button(r, entry))))];
    }

    /** The request as the worker makes it of this record alone, in the place of the button. */
    function request_button(r, entry) {
        const place = h("div", {class: "buttons"});
        const show = action("Request", async () => {
            try {
                const told = await get(path(["records", "request"], {sync: r.sync, key: r.key, run: entry.run}), ctx.signal);
                place.replaceChildren(...told.requests.map(request_text));
            } catch (error) {
                if (error.name !== "AbortError")
                    place.replaceChildren(note(error.message));
            }
        });
        if (show)
            place.append(show);
        return place;
    }

    function request_text(request) {
        const head = Object.entries(request.headers ?? {}).map(([name, value]) => `${name}: ${value}`);
        const body = typeof request.body === "string" ? request.body : request.body && JSON.stringify(request.body, null, 1);
        return h("pre", {class: "words"}, [`${request.method} ${request.url}`, ...head, "", body ?? ""].join("\n"));
    }

    function draw(r) {
        result.replaceChildren(h("section", {class: "box", "aria-label": "Result"},
            h("h2", null, h("code", null, r.key), " in ", sync_link(r.sync)),
            h("p", null, verdict(r), " ", explain(r)),
            r.refused && h("p", {class: "box error words"}, r.refused.message ?? ""),
            r.refused?.due_at && h("p", null, "Due again ", when(r.refused.due_at), "."),
            r.refused && h("div", {class: "buttons"}, action("Retry", () => retry(r.sync, {key: r.key}).then(() => look())))));
        for (const more of [sent(r), history(r)])
            if (more)
                result.append(...more);
    }

    async function look(signal = ctx.signal) {
        if (!place.value || !key.value.trim())
            return;
        try {
            draw(await get(path(["records"], {sync: place.value, key: key.value.trim()}), signal));
        } catch (error) {
            if (error.name !== "AbortError")
                result.replaceChildren(note(error.message));
        }
    }

    async function load(signal) {
        if (!syncs.length) {
            syncs = (await get("syncs", signal)).syncs;
            put(place, syncs.map((s) => h("option", {value: s.name}, s.name)));
            if (syncs.some((s) => s.name === ctx.query.sync))
                place.value = ctx.query.sync;
        }
        await look(signal);
    }

    return {title: "Look up", node, load, search: key, poll_ms: 0, calm_ms: 0};
}
