// Server-sent events: one connection for the page. While there is none, the views poll.
// A hidden tab gives its connection back: browsers open six to a server, and the scheduler has a limit too.

const AGAIN_MS = 5000;
const KINDS = ["run", "sync", "destination", "reload"];

let source = null;
let timer = 0;
let heard = () => {};
let moved = () => {};

export let connected = false;

function set_connected(value) {
    if (connected === value)
        return;
    connected = value;
    moved(value);
}

function parse(text) {
    try {
        return JSON.parse(text);
    } catch {
        return text;
    }
}

/** Ends the stream until connect() is called again. */
export function close() {
    clearTimeout(timer);
    source?.close();
    source = null;
    set_connected(false);
}

/** Opens the stream, or opens it anew. */
export function connect() {
    close();
    if (document.hidden)
        return;
    const opened = new EventSource("api/v1/events");
    source = opened;
    opened.onopen = () => set_connected(true);
    opened.onerror = () => {
        set_connected(false);
        if (opened.readyState === EventSource.CLOSED && source === opened)
            timer = setTimeout(connect, AGAIN_MS);
    };
    for (const kind of KINDS)
        opened.addEventListener(kind, (event) => heard(kind, parse(event.data)));
}

/** on_event(kind, data) for each event; on_state(connected) when the stream begins or breaks. */
export function listen(on_event, on_state) {
    heard = on_event;
    moved = on_state;
    window.addEventListener("pagehide", close);
}
