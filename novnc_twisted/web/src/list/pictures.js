/*
 * Live pictures of the visible tiles: one request at a time, each tile again after a pause.  A tile whose server has
 * begun to run comes first, and again soon, because its first picture is often still black.
 */

const PAUSE = 5000; // milliseconds until a picture is taken again
const SOON = 1500; // the same for a server that has just begun to run; hosts cache a picture for a second
const WIDTH = 320;

export class Pictures {
    #visible = new Map(); // image -> when its next picture is due
    #fresh = new WeakSet(); // images of servers that have just begun to run
    #busy = false;
    #timer = 0;

    constructor(api, failed) {
        this.api = api;
        this.failed = failed; // called with an error: the log-in has ended, or there is no answer
        this.observer = new IntersectionObserver((entries) => this.#seen(entries), { rootMargin: '100px' });
        document.addEventListener('visibilitychange', () => this.#next());
    }

    add(image) {
        this.observer.observe(image);
    }

    remove(image) {
        this.observer.unobserve(image);
        this.#visible.delete(image);
        release(image);
    }

    /* The server has begun to run: take its picture now. */
    renew(image) {
        this.#fresh.add(image);
        if (this.#visible.has(image)) {
            this.#visible.set(image, 0);
            this.#next();
        }
    }

    #seen(entries) {
        for (const { target, isIntersecting } of entries) {
            if (!isIntersecting) {
                this.#visible.delete(target);
            } else if (!this.#visible.has(target)) {
                this.#visible.set(target, 0);
            }
        }
        this.#next();
    }

    async #next() {
        clearTimeout(this.#timer);
        if (this.#busy || document.hidden) {
            return;
        }
        const due = [...this.#visible].filter(([image]) => image.dataset.live).sort((one, other) => one[1] - other[1])[0];
        const wait = due ? due[1] - Date.now() : PAUSE;
        if (wait > 0) {
            this.#timer = setTimeout(() => this.#next(), wait);
            return;
        }
        this.#busy = true;
        try {
            await this.#take(due[0]);
        } catch (error) {
            this.failed(error);
        } finally {
            this.#busy = false;
        }
        this.#timer = setTimeout(() => this.#next(), 50);
    }

    async #take(image) {
        this.#visible.set(image, Date.now() + (this.#fresh.delete(image) ? SOON : PAUSE));
        const blob = await this.api.picture(image.dataset.id, WIDTH);
        if (!blob || !image.isConnected || !image.dataset.live) {
            return;
        }
        const address = URL.createObjectURL(blob);
        release(image);
        image.src = address;
        image.hidden = false;
    }
}

function release(image) {
    if (image.src.startsWith('blob:')) {
        URL.revokeObjectURL(image.src);
    }
}
