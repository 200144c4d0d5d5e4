/*
 * Timers that keep their pace while the page is in the background.
 *
 * Browsers slow the timers of a hidden page down to one a second, but not those of its workers.  The worker is a file of
 * the page's own, as its Content-Security-Policy demands.
 */

const plain = (ms) => new Promise((done) => setTimeout(done, ms));

/**
 * A function that waits for some ms.  The worker starts at the first wait.  If that fails, the page's own timers are
 * used.
 */
export function waiter(url) {
    let worker; // null: it could not start
    let last = 0;
    const waiting = new Map(); // number -> function
    const giveUp = () => {
        worker = null;
        waiting.forEach((done) => done());
        waiting.clear();
    };
    const begin = () => {
        try {
            worker = new Worker(url);
            worker.addEventListener('message', ({ data }) => {
                waiting.get(data)?.();
                waiting.delete(data);
            });
            worker.addEventListener('error', giveUp);
        } catch {
            giveUp();
        }
    };
    return (ms) => {
        if (worker === undefined) {
            begin();
        }
        return worker === null ? plain(ms) : new Promise((done) => {
            waiting.set(last += 1, done);
            worker.postMessage([last, ms]);
        });
    };
}
