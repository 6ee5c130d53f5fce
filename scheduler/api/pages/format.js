// Numbers and times as people read them.

import {h} from "./dom.js";
import {now} from "./api.js";

const counter = new Intl.NumberFormat();
const fine = new Intl.NumberFormat(undefined, {maximumSignificantDigits: 3});
const stamp = new Intl.DateTimeFormat(undefined, {dateStyle: "medium", timeStyle: "medium"});

export const count = (n) => counter.format(n ?? 0);
export const rough = (n) => (n >= 1000 ? counter.format(Math.round(n)) : fine.format(n));
export const percent = (part, whole) => (whole > 0 ? `${Math.floor((100 * part) / whole)} %` : "");

export function plural(n, one, many) {
    return `${count(n)} ${n === 1 ? one : (many ?? `${one}s`)}`;
}

export function bytes(n) {
    const units = ["B", "KB", "MB", "GB", "TB"];
    let i = 0;
    for (n = n ?? 0; n >= 1000 && i < units.length - 1; n /= 1000)
        i++;
    return `${fine.format(n)} ${units[i]}`;
}

/** Seconds in the two largest units that matter. */
export function span(seconds) {
    const s = Math.abs(seconds);
    if (s < 10)
        return `${fine.format(s)} s`;
    if (s < 120)
        return `${Math.round(s)} s`;
    if (s < 7200)
        return `${Math.round(s / 60)} min`;
    if (s < 172800)
        return `${Math.round(s / 3600)} h`;
    return `${Math.round(s / 86400)} days`;
}

function distance(time) {
    const s = (Date.parse(time) - now()) / 1000;
    if (Math.abs(s) < 1)
        return "now";
    return s > 0 ? `in ${span(Math.ceil(s))}` : `${span(Math.ceil(-s))} ago`;
}

export const absolute = (time) => stamp.format(new Date(time));

/** "3 min ago", with the time itself as its title; kept up to date by tick(). */
export function when(time, empty = "–") {
    if (!time)
        return h("span", {class: "none"}, empty);
    return h("time", {datetime: time, title: absolute(time)}, distance(time));
}

/** When something is to begin: "in 3 min", then "due". */
export function due(time, empty) {
    const node = when(time, empty);
    if (time) {
        node.dataset.due = "";
        node.textContent = words_of(node);
    }
    return node;
}

/** How old: "3 min". */
export function age(time, empty = "–") {
    if (!time)
        return h("span", {class: "none"}, empty);
    const node = h("time", {datetime: time, title: absolute(time), "data-age": ""});
    node.textContent = words_of(node);
    return node;
}

function words_of(node) {
    const time = node.getAttribute("datetime");
    const past_s = (now() - Date.parse(time)) / 1000;
    if ("age" in node.dataset)
        return span(Math.max(0, Math.round(past_s)));
    return "due" in node.dataset && past_s >= 0 ? "due" : distance(time);
}

/** Moves every shown distance on. */
export function tick() {
    for (const node of document.querySelectorAll("time[datetime]")) {
        const text = words_of(node);
        if (node.textContent !== text)
            node.textContent = text;
    }
}
