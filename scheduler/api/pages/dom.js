// Builds the page's elements. Text always becomes a text node; nothing here ever parses HTML.

const SVG = document.getElementById("logo").namespaceURI;
const PROPERTIES = new Set(["value", "checked", "disabled", "selected"]);

/** An element: properties beginning with "on" are listeners, others attributes; null and false leave out. */
export function h(tag, properties, ...children) {
    return filled(document.createElement(tag), properties, children);
}

/** The same for SVG. */
export function svg(tag, properties, ...children) {
    return filled(document.createElementNS(SVG, tag), properties, children);
}

function filled(node, properties, children) {
    for (const [name, value] of Object.entries(properties ?? {})) {
        if (value === undefined || value === null || value === false)
            continue;
        if (name.startsWith("on"))
            node.addEventListener(name.slice(2), value);
        else if (PROPERTIES.has(name))
            node[name] = value;
        else
            node.setAttribute(name, value === true ? "" : value);
    }
    add(node, children);
    return node;
}

/** Appends nodes, texts and numbers, and lists of them. */
export function add(node, children) {
    for (const child of children) {
        if (Array.isArray(child))
            add(node, child);
        else if (child !== undefined && child !== null && child !== false)
            node.append(child instanceof Node ? child : String(child));
    }
}

const FOCUSABLE = "a[href], button, input, select";

/** Puts content in the place of what node holds. The focus goes to what takes the place of the focused one. */
export function swap(node, ...children) {
    const at = node.contains(document.activeElement) ? [...node.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement) : -1;
    node.replaceChildren();
    add(node, children);
    if (at < 0)
        return;
    const now = [...node.querySelectorAll(FOCUSABLE)];
    (now[Math.min(at, now.length - 1)] ?? document.getElementById("main")).focus({preventScroll: true});
}

/** The same, unless it holds just that already. Listeners are not compared: they may depend on what is shown only. */
export function put(node, ...children) {
    const fresh = node.cloneNode(false);
    add(fresh, children);
    if (!fresh.isEqualNode(node))
        swap(node, [...fresh.childNodes]);
}

/** A button; what goes wrong after a press is told. */
export function button(label, press, properties) {
    const onclick = async () => {
        try {
            await press();
        } catch (error) {
            if (error.name !== "AbortError")
                toast(error.message, "error");
        }
    };
    return h("button", {type: "button", onclick, ...properties}, label);
}

export function link(href, ...children) {
    return h("a", {href}, children);
}

/** A word with a colour and a mark: never colour alone. */
export function badge(word, kind) {
    return h("span", {class: `badge ${kind ?? word}`}, word);
}

export function note(...children) {
    return h("p", {class: "note"}, children);
}

/** Terms and what they are; entries whose value is null are left out. */
export function facts(entries) {
    const list = h("dl", {class: "facts"});
    for (const [term, value] of entries)
        if (value !== null && value !== undefined && value !== "")
            list.append(h("div", null, h("dt", null, term), h("dd", null, value)));
    return list;
}

/** A field with its label. */
export function field(label, input) {
    return h("label", {class: "field"}, h("span", null, label), input);
}

/** A choice: entries are [value, text]. */
export function choice(entries, value, onchange, properties) {
    return h("select", {onchange: (event) => onchange(event.target.value), ...properties},
        entries.map(([key, text]) => h("option", {value: key, selected: key === value}, text)));
}

let announced = "";
let announced_at = 0;

/** For screen readers, politely; the same words are not said twice within five seconds. */
export function announce(words) {
    const now = performance.now();
    if (words === announced && now - announced_at < 5000)
        return;
    announced = words;
    announced_at = now;
    document.getElementById("announce").textContent = words;
}

const TOASTS_MAX = 4;
const TOAST_MS = 8000;

/** A message at the edge of the page. Errors stay until they are closed. */
export function toast(words, kind = "info", ...actions) {
    const place = document.getElementById("toasts");
    const box = h("div", {class: `toast ${kind}`, role: kind === "error" ? "alert" : null}, h("span", null, words), actions,
        button("Close", () => box.remove(), {class: "quiet"}));
    place.append(box);
    while (place.childElementCount > TOASTS_MAX)
        place.firstElementChild.remove();
    if (kind !== "error")
        setTimeout(() => box.remove(), TOAST_MS);
}

/** Asks before something that cannot be undone. Gives true when it was confirmed. */
export function ask({title, body, confirm, danger}) {
    return new Promise((resolve) => {
        const yes = h("button", {type: "submit", value: "yes", class: danger ? "danger" : "primary"}, confirm);
        const no = h("button", {type: "submit", value: "no"}, "Leave it");
        const dialog = h("dialog", {"aria-labelledby": "ask-title"},
            h("form", {method: "dialog"}, h("h2", {id: "ask-title"}, title), body, h("div", {class: "buttons"}, no, yes)));
        dialog.addEventListener("close", () => {
            dialog.remove();
            resolve(dialog.returnValue === "yes");
        });
        document.body.append(dialog);
        dialog.showModal();
        (danger ? no : yes).focus();
    });
}
