import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BLACK, LONGEST, SHOWN, Starting } from '../src/starting.js';

/* `at(ms, black)`: the stage that many ms after the beginning; null: the screen is no longer checked. */
function made(off) {
    let [now, dark, look, changes] = [1000, true, null, 0];
    const clock = { now: () => now, every: (work) => { look = work; return 1; }, not: (timer) => { look = timer ? null : look; } };
    const starting = new Starting(() => dark, () => { changes += 1; }, clock);
    starting.begin(off);
    const at = (ms, black) => {
        [now, dark] = [1000 + ms, black];
        look?.();
        return look ? starting.stage : null;
    };
    return { starting, at, changes: () => changes };
}

test('a screen with a picture needs no words', () => {
    const { starting, at, changes } = made(false);
    assert.equal(at(500, true), '');
    assert.equal(at(BLACK, false), null);
    assert.equal(at(BLACK + 500, true), null); // it went black later
    assert.deepEqual([starting.stage, changes()], ['', 0]);
});

test('a screen that is black', () => {
    const { at, changes } = made(false);
    assert.equal(at(BLACK - 1, true), '');
    assert.equal(at(BLACK, true), 'black');
    assert.equal(at(LONGEST * 2, true), 'black');
    assert.equal(at(LONGEST * 2 + 1, false), null);
    assert.equal(changes(), 2);
});

test('a server that was off is starting, for a moment at least, until there is a picture', () => {
    const { starting, at } = made(true);
    assert.equal(starting.stage, 'starting');
    assert.equal(at(500, false), 'starting');
    assert.equal(at(SHOWN, true), 'starting');
    assert.equal(at(SHOWN + 500, false), null);
    assert.equal(starting.stage, '');
});

test('a server that shows nothing for long is not starting', () => {
    const { starting, at } = made(true);
    assert.equal(at(LONGEST - 1, true), 'starting');
    assert.equal(at(LONGEST, true), 'black');
    starting.end();
    assert.deepEqual([starting.stage, at(LONGEST + 1, true)], ['', null]);
});
