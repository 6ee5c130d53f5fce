// Charts as SVG elements. Every number in them also stands in words beside or below.

import {h, svg} from "./dom.js";
import {absolute, bytes, count, plural, rough} from "./format.js";

const VERDICTS = ["succeeded", "rejected", "failed", "cancelled"];
const RAREST_SHOWN = 0.6; // percent of a bar below which a part would be invisible
const UNEVEN = 20;        // largest by median: from here on heights are square roots

/** A bar whose parts are [name, number]; whole is what the full width stands for. */
function stacked_bar(parts, whole) {
    const bar = svg("svg", {class: "bar", width: "100%", height: "14", "aria-hidden": "true", focusable: "false"},
        svg("rect", {class: "rest", width: "100%", height: "100%"}));
    let x = 0;
    for (const [name, n] of parts) {
        if (!n || !whole)
            continue;
        const width = Math.min(Math.max((100 * n) / whole, RAREST_SHOWN), 100 - x);
        bar.append(svg("rect", {class: `part ${name}`, x: `${x}%`, width: `${width}%`, height: "100%"}));
        x += width;
    }
    return bar;
}

function legend(parts) {
    return h("ul", {class: "legend"}, parts.map(([name, n]) =>
        h("li", {class: n ? null : "zero"}, h("span", {class: `swatch ${name}`}), h("b", null, count(n)), ` ${name}`)));
}

function stage(title, total, parts, whole, ...more) {
    return h("li", {class: "stage"}, h("div", {class: "stage-head"}, h("h3", null, title), h("span", {class: "total"}, total)),
        parts && stacked_bar(parts, whole), parts && legend(parts), more);
}

/** "1,000 rows = 10 added + …", with a mark whether it holds; open: still waits for that many. */
export function equation(left, name, parts, ended) {
    const sum = parts.reduce((total, [, n]) => total + n, 0);
    const holds = sum === left;
    const state = holds ? "holds" : ended ? "broken" : "open";
    return h("p", {class: `equation ${state}`, "data-balance": state},
        h("b", null, count(left)), ` ${name} = `, parts.map(([part, n], i) => [i ? " + " : "", h("b", null, count(n)), ` ${part}`]),
        h("span", {class: "mark"}, {holds: " ✓ balances", broken: ` ✗ the right side is ${count(sum)}`, open: " … still counting"}[state]));
}

const picked = (counts, names) => names.map((name) => [name, counts[name] ?? 0]);

/** rows → changes → batches → verdicts of a run; of a stretch of a stream, what was seen at its source. */
export function funnel(run) {
    const c = run.counts;
    const ended = run.balance !== null && run.balance !== undefined;
    const verdicts = picked(c, VERDICTS);
    const answered = verdicts.reduce((sum, [, n]) => sum + n, 0);
    const open = Math.max(0, c.planned - answered);
    const right = open || !ended ? [...verdicts, ["open", open]] : verdicts;
    const seen = run.stream ? picked({...c, coalesced: run.coalesced}, ["planned", "unchanged", "coalesced", "invalid", "quarantined"])
        : picked(c, ["added", "changed", "unchanged", "invalid", "quarantined"]);
    const total = run.stream ? run.changes : c.rows;
    const title = run.stream ? "From changes to verdicts" : "From rows to verdicts";
    const changes = picked(c, ["added", "changed", "removed"]);
    return h("section", {class: "funnel", "aria-label": title},
        h("h2", null, title),
        h("ol", null,
            stage(run.stream ? "Changes seen" : "Rows read", count(total), seen, total, equation(total, run.stream ? "changes" : "rows", seen, ended)),
            stage(run.stream ? "Records planned" : "Changes planned", count(c.planned), changes, Math.max(total, c.planned),
                equation(c.planned, "planned", changes, ended)),
            stage("Batches", run.stream && !ended ? "" : plural(run.batches ?? 0, "batch", "batches"), null, 0,
                h("p", {class: "small"}, `${plural(run.requests ?? 0, "request")}, ${plural(run.retries ?? 0, "retry", "retries")}, `
                    + `${bytes(run.bytes)} sent`)),
            stage("Verdicts", count(answered), right, Math.max(c.planned, 1), equation(c.planned, "planned", right, ended))),
        run.balance === false && h("p", {class: "equation broken"}, "This run does not balance. Please report it."));
}

function median(numbers) {
    const sorted = [...numbers].sort((a, b) => a - b);
    return sorted.length ? sorted[Math.floor(sorted.length / 2)] : 0;
}

function figure(title, top, drawing, runs, words) {
    return h("figure", {class: "chart"}, h("figcaption", null, h("span", null, title), h("span", {class: "scale"}, `at the top: ${top}`)),
        h("div", {class: "plot"}, drawing),
        h("div", {class: "ends"}, h("span", null, absolute(runs[0].started_at)), h("span", null, absolute(runs.at(-1).started_at))),
        h("p", {class: "small"}, words));
}

function run_columns(runs, height_of) {
    return runs.map((run, i) => {
        const total = VERDICTS.reduce((sum, name) => sum + run.counts[name], 0);
        const column = svg("a", {href: `#/runs/${encodeURIComponent(run.id)}`, tabindex: "-1", "data-run": run.id},
            svg("title", null, `${absolute(run.started_at)}: ${run.status}, ${VERDICTS.map((v) => `${count(run.counts[v])} ${v}`).join(", ")}`),
            svg("rect", {class: "hit", x: i, y: 0, width: 1, height: 100}));
        let y = 100;
        for (const name of VERDICTS) {
            const height = total ? (height_of(total) * run.counts[name]) / total : 0;
            if (height <= 0)
                continue;
            y -= height;
            column.append(svg("rect", {class: `part ${name}`, x: i + 0.1, y, width: 0.8, height}));
        }
        if (!total)
            column.append(svg("rect", {class: `part nothing ${run.status}`, x: i + 0.1, y: 98.5, width: 0.8, height: 1.5}));
        return column;
    });
}

const plot = (width, ...children) =>
    svg("svg", {viewBox: `0 0 ${width} 100`, preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false"}, children);

/** Square roots where one run dwarfs the others: those would be invisible beside it. */
function heights(numbers) {
    const most = Math.max(...numbers, 0.001);
    const uneven = most > UNEVEN * Math.max(median(numbers), most / 1e9);
    return {most, height_of: uneven ? (n) => 100 * Math.sqrt(n / most) : (n) => (100 * n) / most,
        words: uneven ? " Heights are square roots, so that small ones can be seen beside large ones." : ""};
}

/** Verdicts of each run, oldest on the left. */
export function verdict_chart(newest_first) {
    const runs = newest_first.filter((run) => run.ended_at).reverse();
    if (runs.length < 2)
        return null;
    const totals = runs.map((run) => VERDICTS.reduce((sum, name) => sum + run.counts[name], 0));
    const scale = heights(totals);
    const sum = (name) => runs.reduce((total, run) => total + run.counts[name], 0);
    const words = `${plural(runs.length, "run")}: ${VERDICTS.map((name) => `${count(sum(name))} ${name}`).join(", ")}.${scale.words}`;
    return figure("Verdicts per run", count(Math.round(scale.most)), plot(runs.length, run_columns(runs, scale.height_of)), runs, words);
}


/** Answered records per second of a run that has ended; 0: none. */
export function rate_of(run) {
    const c = run.counts;
    return run.ended_at && run.seconds > 0 ? (c.succeeded + c.rejected + c.failed) / run.seconds : 0;
}

/** Records per second of each run that sent something. */
export function rate_chart(newest_first) {
    const runs = newest_first.filter((run) => rate_of(run) > 0).reverse();
    if (runs.length < 2)
        return null;
    const rates = runs.map(rate_of);
    const scale = heights(rates);
    const points = rates.map((rate, i) => `${i + 0.5},${(100 - scale.height_of(rate)).toFixed(2)}`);
    const drawing = plot(runs.length,
        svg("polygon", {class: "area", points: `0.5,100 ${points.join(" ")} ${runs.length - 0.5},100`}),
        svg("polyline", {class: "line", points: points.join(" ")}));
    return figure("Records per second", rough(scale.most), drawing, runs,
        `Fastest ${rough(scale.most)}, median ${rough(median(rates))}, last ${rough(rates.at(-1))} records per second, reading included.${scale.words}`);
}
