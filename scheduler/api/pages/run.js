// One run: its progress while it goes, the funnel from rows to verdicts, and what a held one waits for.

import {action, approve_run, cancel_run, may, reject_run, run_sync} from "./actions.js";
import {get, path} from "./api.js";
import {funnel, rate_of} from "./charts.js";
import {announce, button, facts, h, link, note, put, svg, swap} from "./dom.js";
import {absolute, count, percent, plural, rough, span, when} from "./format.js";
import {run_badge} from "./runs.js";
import {sync_link} from "./syncs.js";
import {Table} from "./table.js";

const ENDED = new Set(["success", "warning", "failed", "cancelled", "superseded"]);
const SAMPLES = 6; // recent looks that the present rate is taken from
const BATCHES_PAGE = 100;

const answered = (c) => c.succeeded + c.rejected + c.failed + c.cancelled;

/** The present rate from the latest looks at a growing number. */
class Rate {
    constructor() {
        this.samples = [];
    }

    add(n) {
        const last = this.samples.at(-1);
        if (last && last.n === n)
            return;
        this.samples.push({n, t: performance.now()});
        if (this.samples.length > SAMPLES)
            this.samples.shift();
    }

    get per_s() {
        const [first, last] = [this.samples[0], this.samples.at(-1)];
        return this.samples.length < 2 ? 0 : (1000 * (last.n - first.n)) / (last.t - first.t);
    }
}

function progress_bar(run) {
    const c = run.counts;
    const reading = run.status === "reading" || run.stream;
    const share = reading || !c.planned ? null : Math.min(100, (100 * answered(c)) / c.planned);
    return h("div", {class: `progress ${share === null ? "unknown" : ""}`, role: "progressbar", "aria-label": "Progress", "aria-valuemin": "0",
        "aria-valuemax": "100", "aria-valuenow": share === null ? null : Math.floor(share)},
    svg("svg", {width: "100%", height: "10", "aria-hidden": "true"},
        svg("rect", {class: "done", height: "100%", width: `${share ?? 30}%`})));
}

function progress_words(run, rates) {
    const c = run.counts;
    if (run.stream)
        return `A stretch of a stream: ${plural(run.changes, "change")} seen, ${plural(c.planned, "record")} planned, ${count(answered(c))} answered`
            + (rates.verdicts.per_s ? `, ${rough(rates.verdicts.per_s)} per second` : "");
    if (run.status === "reading")
        return `${plural(c.rows, "row")} read, ${plural(c.planned, "change")} found${answered(c) ? `, ${count(answered(c))} answered` : ""}`
            + (rates.rows.per_s ? `, ${rough(rates.rows.per_s)} rows per second` : "");
    const per_s = rates.verdicts.per_s;
    const open = c.planned - answered(c);
    return `${count(answered(c))} of ${plural(c.planned, "change")} answered, ${percent(answered(c), c.planned) || "0 %"}`
        + (per_s ? `, ${rough(per_s)} per second, about ${span(open / per_s)} to go` : "");
}

function progress_part(run, rates) {
    return h("section", {class: "box", "aria-label": "Progress"}, progress_bar(run),
        h("p", {id: "progress-words"}, progress_words(run, rates)));
}

function held_part(run) {
    const c = run.counts;
    const title = run.plan ? "Planned, to be looked at" : "Held for approval";
    return h("section", {class: "box held", "aria-label": title},
        h("h2", null, title),
        run.plan ? h("p", null, "Approving it sends exactly this plan; left alone it stands in no schedule's way.")
            : h("p", {class: "reason"}, run.reason || "Its plan is unusual."),
        h("p", null, "The plan: ", h("b", null, `${count(c.added)} added, ${count(c.changed)} changed, ${count(c.removed)} removed`),
            ` of ${plural(c.rows, "row")} read${c.invalid ? `, ${count(c.invalid)} invalid` : ""}. Nothing of it has been sent.`),
        !may("operator") && h("p", {class: "small"}, "An operator can approve or reject it."));
}

const SIGNS = [["added", "To add"], ["changed", "To change"], ["removed", "To remove"]];

function sample(one) {
    const text = (values) => h("pre", {class: "words"}, JSON.stringify(values, null, 1));
    return h("li", null, h("p", null, h("code", null, one.key ?? "a key too long to be shown"), " ", one.op),
        one.before && h("div", null, h("p", {class: "small"}, "before"), text(one.before)),
        one.fields && h("div", null, one.before && h("p", {class: "small"}, "after"), text(one.fields)));
}

/** Some of each kind of change, for whoever may see rows. */
async function plan_part(run, signal) {
    const plan = await get(path(["runs", run.id, "plan"]), signal);
    const kinds = SIGNS.filter(([kind]) => plan[kind].length);
    return kinds.length ? h("section", {"aria-label": "Samples of the plan"}, kinds.map(([kind, title]) => [
        h("h3", null, title), h("ol", {class: "history"}, plan[kind].map(sample))])) : null;
}

function summary(run) {
    return facts([
        ["Status", run_badge(run)],
        ["Sync", sync_link(run.sync)],
        ["Started by", run.trigger],
        ["Scheduled", run.scheduled_at && when(run.scheduled_at)],
        ["Started", run.started_at && h("span", null, when(run.started_at), h("span", {class: "small"}, absolute(run.started_at)))],
        ["Ended", run.ended_at && when(run.ended_at)],
        ["Took", run.ended_at ? span(run.seconds) : null],
        ["Records per second", rate_of(run) ? rough(rate_of(run)) : null],
        ["Run", h("code", null, run.id)],
    ]);
}

function errors_part(run) {
    const bad = run.counts.rejected + run.counts.failed + run.counts.invalid;
    return [run.error && h("p", {class: "box error"}, h("b", null, "Failed: "), run.error),
        run.warning && h("p", {class: "box warning"}, run.warning),
        run.reason && run.status !== "held" && h("p", {class: "box"}, run.reason),
        bad ? h("p", null, link(`#/errors?sync=${encodeURIComponent(run.sync)}`, `Why ${plural(bad, "record was", "records were")} not accepted`)) : null];
}

/** Columns follow what the scheduler knows of its batches. */
function batch_columns(batches) {
    const names = new Set(batches.flatMap((b) => Object.keys(b)));
    names.delete("number");
    return [{key: "number", label: "Batch", class: "first", cell: (b) => count(b.number)},
        ...[...names].map((name) => ({key: name, label: name[0].toUpperCase() + name.slice(1), class: "number",
            cell: (b) => (typeof b[name] === "number" ? count(b[name]) : String(b[name] ?? "–"))}))];
}

export function run_view(ctx) {
    const id = ctx.args[0];
    const rates = {rows: new Rate(), verdicts: new Rate()};
    const parts = {crumbs: h("p", {class: "crumbs"}), title: h("h1", {tabindex: "-1"}, "Run"), live: h("div"),
        controls: h("div", {class: "buttons"}), errors: h("div"), plan: h("div"), facts: h("div"), funnel: h("div"), batches: h("div")};
    const node = h("div", null, Object.values(parts));
    let controls_for = "";
    let told = -1;
    let last = null;
    let planned = false;

    function show_controls(run) {
        const state = ENDED.has(run.status) ? "ended" : run.status === "held" ? "held" : run.phase === "stopping" ? "stopping" : "going";
        if (controls_for === state)
            return;
        controls_for = state;
        swap(parts.controls, [
            state === "held" && action("Approve", () => approve_run(last).then(refresh), {class: "primary"}),
            state === "held" && action("Reject", () => reject_run(last).then(refresh)),
            state === "going" && action("Cancel", () => cancel_run(id).then(refresh), {class: "danger"}),
            state === "ended" && action("Run again", () => run_sync(run.sync)),
            link(`#/runs?sync=${encodeURIComponent(run.sync)}`, "Other runs of this sync")]);
    }

    /** A screen reader hears each quarter, not each batch. */
    function tell(run) {
        const quarter = ENDED.has(run.status) ? 5 : run.status === "planned" && run.counts.planned
            ? Math.floor((4 * answered(run.counts)) / run.counts.planned) : -1;
        if (quarter === told)
            return;
        if (quarter === 5 && told >= 0)
            announce(`The run ended: ${run.status}`);
        else if (quarter >= 0 && quarter < 5)
            announce(`${percent(answered(run.counts), run.counts.planned)} answered`);
        told = quarter;
    }

    function show(run) {
        if (last && ENDED.has(last.status) && !ENDED.has(run.status))
            return; // an answer that was overtaken by an event
        last = run;
        rates.rows.add(run.counts.rows);
        rates.verdicts.add(answered(run.counts));
        put(parts.crumbs, link("#/syncs", "Syncs"), " / ", sync_link(run.sync), " / ");
        put(parts.title, `Run of ${run.sync}`);
        show_controls(run);
        put(parts.live, ENDED.has(run.status) ? null : run.status === "held" ? held_part(run) : progress_part(run, rates));
        show_plan(run);
        put(parts.errors, errors_part(run));
        put(parts.facts, summary(run));
        put(parts.funnel, funnel(run));
        tell(run);
    }

    /** Asked for once; gone with the hold, which does not come back. */
    function show_plan(run) {
        if (run.status !== "held" || run.phase !== "idle" || !may("operator")) {
            put(parts.plan, null);
        } else if (!planned) {
            planned = true;
            plan_part(run, ctx.signal).then((part) => last?.status === "held" && put(parts.plan, part), () => {});
        }
    }

    async function load(signal) {
        try {
            show(await get(path(["runs", id]), signal));
        } catch (error) {
            if (error.status !== 404 || last)
                throw error;
            put(parts.live, note("No such run, or it waits for its turn: it is shown here as soon as it begins."));
        }
    }

    const refresh = () => load(ctx.signal).catch(() => {}); // after an action; the next event or poll asks again

    let batches = [];
    async function show_batches(cursor) {
        const answer = await get(path(["runs", id, "batches"], {limit: BATCHES_PAGE, cursor}), ctx.signal);
        batches = cursor ? [...batches, ...answer.batches] : answer.batches;
        const table = new Table({caption: "Batches", columns: batch_columns(batches), id: (b) => String(b.number),
            empty: "The scheduler keeps batches until their run has ended."});
        table.update(batches);
        parts.batches.replaceChildren(h("h2", null, "Batches"), table.node, h("div", {class: "buttons"},
            answer.next_cursor && button("More batches", () => show_batches(answer.next_cursor)), button("Read again", () => show_batches())));
    }
    parts.batches.append(button("Show batches", () => show_batches(), {class: "quiet"}));

    function event(kind, run) {
        if (kind === "run" && run.id === id && run.counts)
            show(run);
    }

    return {title: "Run", node, load, event, poll_ms: 1000, calm_ms: 15000, done: () => last && ENDED.has(last.status)};
}
