import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backoff, delay, FIRST, LONGEST } from '../src/reconnect.js';

test('waits double up to the longest, and never leave 1 to 30 s', () => {
    const most = Array.from({ length: 8 }, (_, n) => delay(n, () => 1));
    assert.deepEqual(most, [1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
    const least = Array.from({ length: 8 }, (_, n) => delay(n, () => 0));
    assert.deepEqual(least, [1000, 1000, 2000, 4000, 8000, 15000, 15000, 15000]);
    for (let n = 0; n < 2000; n += 100) {
        assert.ok(delay(n) >= FIRST && delay(n) <= LONGEST);
    }
});

test('it gives up once the time is spent, and begins anew after a reset', () => {
    const backoff = new Backoff(() => 1);
    const waits = [];
    for (let wait; (wait = backoff.next({ giveUpAfter: 20000 })) !== null;) {
        waits.push(wait);
    }
    assert.deepEqual(waits, [1000, 2000, 4000, 8000, 16000]);
    backoff.reset();
    assert.equal(backoff.next(), 1000);
});

test('a first wait of its own', () => {
    assert.equal(new Backoff(() => 1).next({ first: 4000 }), 4000);
});
