import assert from 'node:assert/strict';
import { test } from 'node:test';

let now = 0;
let timers = [];
Date.now = () => now;
globalThis.setTimeout = (work, ms) => {
    const timer = { work, at: now + ms };
    timers.push(timer);
    return timer;
};
globalThis.clearTimeout = (timer) => {
    timers = timers.filter((each) => each !== timer);
};
globalThis.document = { hidden: false, addEventListener() {} };
globalThis.IntersectionObserver = class {
    constructor(seen) {
        this.observe = (target) => seen([{ target, isIntersecting: true }]);
    }
};
const { Pictures } = await import('../src/list/pictures.js');

/* Advance the clock to a time, timer by timer. */
async function until(end) {
    for (;;) {
        await new Promise(setImmediate); // the answers to requests arrive
        const [next] = timers.filter(({ at }) => at <= end).sort((one, other) => one.at - other.at);
        if (!next) {
            now = end;
            return;
        }
        clearTimeout(next);
        now = next.at;
        next.work();
    }
}

test('a server that begins to run gets a picture at once and another one soon; then the pauses are as usual', async () => {
    const taken = [];
    const pictures = new Pictures({ picture: async (id) => taken.push(`${id} ${now}`) && null }, assert.fail);
    const image = { dataset: { id: 'a', live: 'yes' } };
    pictures.add(image);
    await until(2000);
    pictures.renew(image);
    await until(9000);
    assert.deepEqual(taken, ['a 0', 'a 2000', 'a 3500', 'a 8500']);
});

test('a picture that comes after the server has stopped is not shown', async () => {
    let answer;
    const pictures = new Pictures({ picture: () => new Promise((resolve) => { answer = resolve; }) }, assert.fail);
    const image = { dataset: { id: 'a', live: 'yes' }, src: '', hidden: true, isConnected: true };
    pictures.add(image);
    image.dataset.live = '';
    answer(new Blob());
    await until(now);
    assert.deepEqual([image.src, image.hidden], ['', true]);
});
