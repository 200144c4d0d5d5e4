/*
 * Follows the events of the server.  The stream ends now and then.  The browser reconnects, and `load` reads what
 * changed in between.
 */
export function follow(address, store, load) {
    const events = new EventSource(address);
    events.addEventListener('open', load);
    events.addEventListener('reload', load);
    for (const kind of ['servers', 'sessions']) {
        events.addEventListener(kind, (event) => store.apply(kind, JSON.parse(event.data)));
    }
    events.addEventListener('error', () => {
        // Closed permanently: the log-in has ended, or the server refuses.  The error of `load` shows which.
        if (events.readyState === EventSource.CLOSED) {
            load();
            setTimeout(() => follow(address, store, load), 5000);
        }
    });
}
