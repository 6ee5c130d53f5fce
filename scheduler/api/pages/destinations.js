// Destinations: how much of their limits is in use, what waits, and whether they throttle.

import {action, pause_destination} from "./actions.js";
import {get} from "./api.js";
import {badge, facts, h, link, note, put, swap} from "./dom.js";
import {count, percent, plural, span} from "./format.js";

function limit_bar(limit) {
    const {kind, per, count: most, used} = limit;
    const share = most ? Math.min(100, (100 * used) / most) : 0;
    const words = `${count(used)} of ${count(most)} ${kind} per ${per}`;
    const inner = h("div", {class: `fill ${share >= 95 ? "full" : ""}`});
    inner.style.width = `${share}%`;
    return h("li", null, h("div", {class: "limit-head"}, h("span", null, words), h("span", null, percent(used, most))),
        h("div", {class: "meter", role: "meter", "aria-valuemin": "0", "aria-valuemax": most, "aria-valuenow": used, "aria-label": words}, inner));
}

function state_badges(d) {
    const words = [];
    if (d.error)
        words.push(badge("error", "failed"));
    if (d.paused)
        words.push(badge("paused"));
    if (d.throttled_left_ms > 0)
        words.push(badge(`throttled, ${span(d.throttled_left_ms / 1000)} left`, "warning"));
    if (!words.length)
        words.push(badge(d.open ? "in use" : "not in use", d.open ? "success" : "never"));
    return words.flatMap((word, i) => (i ? [" ", word] : [word]));
}

class Card {
    constructor(changed) {
        this.changed = changed;
        this.content = h("div");
        this.controls = h("div", {class: "buttons"});
        this.node = h("section", {class: "card"}, this.content, this.controls);
        this.looks = "";
    }

    show(d) {
        this.node.setAttribute("aria-label", d.name);
        put(this.content, h("div", {class: "card-head"}, h("h2", null, d.name), h("span", {class: "small"}, d.type)),
            h("p", null, state_badges(d)),
            d.error && h("p", {class: "box error"}, d.error),
            d.waits_for && h("p", {class: "box"}, d.waits_for),
            d.limits?.length ? h("ul", {class: "limits"}, d.limits.map(limit_bar)) : h("p", {class: "small"}, "No limits."),
            facts([
                ["In flight", plural(d.leased ?? 0, "batch", "batches")],
                ["Waiting", plural(d.queued ?? 0, "batch", "batches")],
                ["To be tried again", plural(d.parked ?? 0, "batch", "batches")],
                ["Limits at", d.factor !== undefined && d.factor < 1 ? `${Math.round(100 * d.factor)} % while it throttles` : null],
                ["Redis", d.server && d.server !== "private" ? d.server : null],
                ["Shares limits as", d.quota && d.quota !== d.name ? d.quota : null],
            ]));
        if (this.looks === String(d.paused))
            return;
        this.looks = String(d.paused);
        swap(this.controls, [
            action(d.paused ? "Resume" : "Pause", async () => {
                if (await pause_destination(d.name, !d.paused))
                    this.changed();
            }, {"aria-label": `${d.paused ? "Resume" : "Pause"} ${d.name}`}),
            link(`#/syncs?destination=${encodeURIComponent(d.name)}`, "Its syncs")]);
    }
}

export function destinations_view(ctx) {
    const cards = new Map();
    const grid = h("div", {class: "cards"});
    const nothing = h("div");
    const node = h("div", null, h("h1", {tabindex: "-1"}, "Destinations"), grid, nothing);

    async function load(signal) {
        const {destinations} = await get("destinations", signal);
        const names = new Set(destinations.map((d) => d.name));
        for (const [name, card] of cards)
            if (!names.has(name)) {
                card.node.remove();
                cards.delete(name);
            }
        for (const d of destinations) {
            if (!cards.has(d.name)) {
                cards.set(d.name, new Card(() => load(ctx.signal).catch(() => {}))); // the next poll asks again
                grid.append(cards.get(d.name).node);
            }
            cards.get(d.name).show(d);
        }
        put(nothing, destinations.length ? null : note("The project has no destinations."));
    }

    // Limits move all the time and events do not tell of them.
    return {title: "Destinations", node, load, poll_ms: 2000, calm_ms: 2000};
}
