// Who asked for what.

import {get, path} from "./api.js";
import {h} from "./dom.js";
import {when} from "./format.js";
import {Table} from "./table.js";

const SHOWN = 1000;

export function audit_view() {
    let entries = [];
    let words = "";
    const table = new Table({
        caption: "Audit log, newest first", id: (e) => e.id, empty: "Nothing was asked for yet.",
        columns: [
            {key: "at", label: "When", class: "first", cell: (e) => when(e.at)},
            {key: "actor", label: "Who", cell: (e) => e.actor},
            {key: "action", label: "Did", cell: (e) => e.action},
            {key: "target", label: "To", cell: (e) => h("span", {class: "words"}, e.target)},
            {key: "outcome", label: "Outcome", cell: (e) => h("span", {class: "words"}, e.outcome)},
        ],
    });
    const search = h("input", {type: "search", id: "search", placeholder: "Who, what  ( / )", autocomplete: "off", oninput: () => {
        words = search.value.toLowerCase();
        show();
    }});
    const node = h("div", null, h("h1", {tabindex: "-1"}, "Audit log"), h("div", {class: "filters"}, h("label", {class: "field"},
        h("span", null, "Search"), search)), table.node);

    const show = () => table.update(entries.filter((e) => !words || `${e.actor} ${e.action} ${e.target} ${e.outcome}`.toLowerCase().includes(words)));

    async function load(signal) {
        const answer = await get(path(["audit"], {limit: SHOWN}), signal);
        const seen = new Map(); // entries of one moment that say the same are told apart by their number
        entries = answer.entries.map((e) => {
            const text = JSON.stringify(e);
            seen.set(text, (seen.get(text) ?? 0) + 1);
            return {...e, id: `${text}${seen.get(text)}`};
        });
        show();
    }

    return {title: "Audit", node, load, search, poll_ms: 10000, calm_ms: 10000};
}
