import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backoff, delay, FIRST, LONGEST, POLL, SLOW_POLL } from '../src/reconnect.js';

test('waits double up to the longest, and stay within 1 to 5 s', () => {
    const most = Array.from({ length: 6 }, (_, n) => delay(n, () => 1));
    assert.deepEqual(most, [1000, 2000, 4000, 5000, 5000, 5000]);
    const least = Array.from({ length: 6 }, (_, n) => delay(n, () => 0));
    assert.deepEqual(least, [1000, 1000, 2000, 2500, 2500, 2500]);
    for (let n = 0; n < 2000; n += 100) {
        assert.ok(delay(n) >= FIRST && delay(n) <= LONGEST);
    }
});

test('a console that may have moved is looked for within half a second', () => {
    const most = Array.from({ length: 4 }, (_, n) => delay(n, () => 1, 500));
    assert.deepEqual(most, [500, 1000, 2000, 4000]);
    const least = Array.from({ length: 4 }, (_, n) => delay(n, () => 0, 500));
    assert.deepEqual(least, [250, 500, 1000, 2000]);
});

/** The waits until it gives up, at most `count`. */
function waits(backoff, policy, cause, count = 1000) {
    const all = [];
    for (let wait; all.length < count && (wait = backoff.next(policy, cause)) !== null;) {
        all.push(wait);
    }
    return all;
}

test('it gives up after the time is spent, and begins anew after a reset', () => {
    const backoff = new Backoff(() => 1);
    assert.deepEqual(waits(backoff, { giveUpAfter: 20000 }), [1000, 2000, 4000, 5000, 5000, 5000]);
    backoff.reset();
    assert.equal(backoff.next(), 1000);
});

test('the policy can set the first wait', () => {
    assert.equal(new Backoff(() => 1).next({ first: 4000 }), 4000);
});

test('a server that is off is asked every 2 s for a minute, then every 10 s, without an end', () => {
    const all = waits(new Backoff(), { poll: true }, 4409);
    const fast = all.indexOf(SLOW_POLL);
    assert.ok(all.slice(0, fast).every((wait) => wait === POLL && wait < 2000));
    assert.ok(fast * POLL >= 60000 && (fast - 1) * POLL < 60000);
    assert.ok(all.slice(fast).every((wait) => wait === SLOW_POLL));
    assert.equal(all.length, 1000);
});

test('each cause has its own count: waiting for a start does not use up the tries after it', () => {
    const backoff = new Backoff(() => 1);
    waits(backoff, { poll: true }, 4409, 500);
    assert.deepEqual(waits(backoff, { first: 2000, giveUpAfter: 10000 }, 4502), [2000, 4000, 5000]);
    assert.equal(backoff.next({ poll: true }, 4409), POLL);
});
