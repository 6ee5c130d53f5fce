// What may be asked of the scheduler, with its confirmation and the words that tell how it went.

import {ApiError, path, post} from "./api.js";
import {announce, ask, button, h, link, toast} from "./dom.js";
import {count, plural} from "./format.js";

const RANK = {viewer: 0, operator: 1, admin: 2};
let role = "viewer";

/** The role that /status told. */
export function set_role(name) {
    role = name in RANK ? name : "viewer";
}

export const may = (least) => RANK[role] >= RANK[least];

/** A button for who may; null for others. The first press counts until the answer is there. */
export function action(label, run, {least = "operator", ...properties} = {}) {
    if (!may(least))
        return null;
    let under_way = false;
    return button(label, async () => {
        if (under_way)
            return;
        under_way = true;
        try {
            await run();
        } finally {
            under_way = false;
        }
    }, properties);
}

/** Sends it and tells how it went; gives the answer, or null where it failed. */
async function tell(sending, words) {
    try {
        const answer = await sending;
        const [text, ...more] = [words(answer)].flat();
        toast(text, "info", ...more);
        announce(text);
        return answer ?? {};
    } catch (error) {
        if (error instanceof ApiError && error.status === 401)
            return null; // the page asks for a token
        toast(error.problems?.length ? `${error.message}\n${error.problems.join("\n")}` : error.message, "error");
        return null;
    }
}

const sync_path = (sync, verb) => path(["syncs", sync, verb]);
const run_path = (run, verb) => path(["runs", run, verb]);

export function run_sync(sync) {
    return tell(post(sync_path(sync, "run"), {}), (a) =>
        [a.queued ? `${sync} waits for its turn` : `${sync} runs`, link(`#/runs/${encodeURIComponent(a.run)}`, "Watch")]);
}

/** A run that is only planned, then held to be looked at; the page of the run follows. */
export async function plan_sync(sync) {
    const started = await tell(post(sync_path(sync, "run"), {plan: true}), () => `${sync} is being planned; nothing is sent`);
    if (started)
        location.hash = `#/runs/${encodeURIComponent(started.run)}`;
}

export async function run_full(sync) {
    const sure = await ask({
        title: `Send every row of ${sync} again?`,
        body: h("p", null, "A full run sends each row of the model, changed or not, and still handles removals. It uses the destination's limits accordingly."),
        confirm: "Run in full",
    });
    if (!sure)
        return null;
    return tell(post(sync_path(sync, "run"), {full: true}), (a) =>
        [`${sync} runs in full`, link(`#/runs/${encodeURIComponent(a.run)}`, "Watch")]);
}

export function pause_sync(sync, paused) {
    return tell(post(sync_path(sync, paused ? "pause" : "resume")), () => (paused ? `${sync} is paused` : `${sync} goes on`));
}

export function pause_destination(name, paused) {
    return tell(post(path(["destinations", name, paused ? "pause" : "resume"])),
        () => (paused ? `${name} receives nothing until it is resumed` : `${name} receives again`));
}

export async function cancel_run(run) {
    const sure = await ask({
        title: "Cancel this run?",
        body: h("p", null, "What is in flight is finished; the rest is found again by the next run."),
        confirm: "Cancel the run", danger: true,
    });
    return sure ? tell(post(run_path(run, "cancel")), () => "The run stops") : null;
}

function plan_words(run) {
    const c = run.counts;
    return h("p", null, h("b", null, `${count(c.added)} added, ${count(c.changed)} changed, ${count(c.removed)} removed`),
        ` of ${plural(c.rows, "row")}.`);
}

export async function approve_run(run) {
    const sure = await ask({
        title: `Send what ${run.sync} planned?`,
        body: [plan_words(run), h("p", null, run.reason)],
        confirm: "Approve and send", danger: true,
    });
    return sure ? tell(post(run_path(run.id, "approve")), () => "Approved: the plan is being sent") : null;
}

export async function reject_run(run) {
    const sure = await ask({
        title: "Reject this plan?",
        body: [plan_words(run), h("p", null, "Nothing of it is sent; the schedule goes on and the next run plans anew.")],
        confirm: "Reject the plan", danger: true,
    });
    return sure ? tell(post(run_path(run.id, "reject")), () => "Rejected: nothing was sent") : null;
}

/** filter: {message} or {key}; none: everything of the sync. */
export function retry(sync, filter = {}) {
    return tell(post(sync_path(sync, "retry"), filter), (a) =>
        [a.count ? `${plural(a.count, "refusal")} forgotten: the next run of ${sync} sends them again` : "No refusal matched", a.count
            && action("Run now", () => run_sync(sync))]);
}

export function reload() {
    return tell(post("reload"), () => "The configuration was read again");
}
