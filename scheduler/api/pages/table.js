// A table that is updated in place: a row that did not change keeps its elements, and with them the focus.
// On narrow screens the style sheet shows each row as a card; the roles keep it a table for screen readers.

import {button, choice, field, h, put} from "./dom.js";

const ROWS_KEPT = 5000;
const collator = new Intl.Collator(undefined, {numeric: true, sensitivity: "base"});

function compare(a, b) {
    if (typeof a === "string" || typeof b === "string")
        return collator.compare(a ?? "", b ?? "");
    return (a ?? -Infinity) - (b ?? -Infinity);
}

export class Table {
    /**
     * columns: {key, label, cell(row), sort(row), class}; id(row) names a row; sort is a column's key, with "-" in
     * front for descending; sorted(sort) is told of a new choice; kind: a class for the style sheet.
     */
    constructor({caption, columns, id, sort, sorted, empty, kind}) {
        Object.assign(this, {columns, id, sorted, empty});
        this.sort = sort;
        this.rows = [];
        this.made = new Map(); // id -> {tr, text}, of rows that a filter hides as well
        this.heads = new Map();
        this.body = h("tbody", {role: "rowgroup"});
        this.nothing = h("p", {class: "note", hidden: true}, empty ?? "Nothing here.");
        this.table = h("table", {role: "table"},
            h("caption", {class: "unseen"}, caption),
            h("thead", {role: "rowgroup"}, h("tr", {role: "row"}, columns.map((column) => this.head(column)))),
            this.body);
        this.node = h("div", {class: `table ${kind ?? ""}`}, this.sort_choice(), this.table, this.nothing);
        this.show_sort();
    }

    head(column) {
        const label = column.sort ? button(column.label, () => this.sort_by(this.next_sort(column.key))) : column.label;
        const th = h("th", {scope: "col", role: "columnheader", class: column.class}, label);
        this.heads.set(column.key, th);
        return th;
    }

    /** Cards have no column heads to click on. */
    sort_choice() {
        const sortable = this.columns.filter((column) => column.sort);
        if (!sortable.length)
            return null;
        const entries = sortable.flatMap((c) => [[c.key, c.label], [`-${c.key}`, `${c.label}, descending`]]);
        this.select = choice(entries, this.sort, (value) => this.sort_by(value));
        return h("div", {class: "sort-choice"}, field("Sort by", this.select));
    }

    next_sort(key) {
        return this.sort === key ? `-${key}` : key;
    }

    sort_by(sort) {
        this.sort = sort;
        this.show_sort();
        this.place();
        this.sorted?.(sort);
    }

    show_sort() {
        const [key, descending] = this.sort?.startsWith("-") ? [this.sort.slice(1), true] : [this.sort, false];
        for (const [name, th] of this.heads) {
            if (name === key)
                th.setAttribute("aria-sort", descending ? "descending" : "ascending");
            else
                th.removeAttribute("aria-sort");
        }
        if (this.select)
            this.select.value = this.sort;
    }

    in_order() {
        const descending = this.sort?.startsWith("-");
        const column = this.columns.find((c) => c.key === (descending ? this.sort.slice(1) : this.sort));
        if (!column?.sort)
            return this.rows;
        const sign = descending ? -1 : 1;
        return this.rows.map((row) => [column.sort(row), row]).sort((a, b) => sign * compare(a[0], b[0])).map(([, row]) => row);
    }

    /** Shows exactly these rows. */
    update(rows) {
        this.rows = rows;
        const kept = new Set(rows.map(this.id));
        const forget = this.made.size > ROWS_KEPT;
        for (const [id, {tr}] of this.made)
            if (!kept.has(id)) {
                tr.remove();
                if (forget)
                    this.made.delete(id);
            }
        this.place();
    }

    place() {
        const focused = document.activeElement;
        let next = this.body.firstElementChild;
        for (const row of this.in_order()) {
            const tr = this.row(row);
            if (tr === next)
                next = next.nextElementSibling;
            else
                this.body.insertBefore(tr, next);
        }
        this.nothing.hidden = this.rows.length > 0;
        this.table.hidden = !this.rows.length;
        if (document.activeElement !== focused && this.body.contains(focused))
            focused.focus({preventScroll: true});
    }

    row(row) {
        const id = this.id(row);
        const text = JSON.stringify(row);
        let shown = this.made.get(id);
        if (!shown) {
            const cells = this.columns.map((column) =>
                h("td", {role: "cell", "data-label": column.label, class: column.class}, column.cell(row)));
            shown = {tr: h("tr", {role: "row", "data-id": id}, cells), text};
            this.made.set(id, shown);
        } else if (shown.text !== text) {
            this.columns.forEach((column, i) => put(shown.tr.cells[i], column.cell(row)));
            shown.text = text;
        }
        return shown.tr;
    }
}
