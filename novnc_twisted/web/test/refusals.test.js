import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clean, describe } from '../src/refusals.js';
import { lost, refusals } from '../src/strings.js';

test('every code has a title, a sentence that fits a close frame, and a button', () => {
    for (const code of Object.keys(refusals).map(Number)) {
        const why = describe({ code });
        assert.ok(why.title);
        assert.ok(why.sentence);
        assert.ok(new TextEncoder().encode(why.sentence).length <= 123, why.sentence);
        assert.ok(['retry', 'reconnect'].includes(why.retry));
    }
});

test('the sentence of the close frame is preferred', () => {
    assert.equal(describe({ code: 4409, reason: 'Off.' }).sentence, 'Off.');
    assert.equal(describe({ code: 4409, reason: '' }).sentence, refusals[4409].sentence);
});

test('every close code with texts has a policy', () => {
    for (const [code, words] of Object.entries(refusals)) {
        assert.equal(describe({ code: Number(code) }).title, words.title, code);
    }
});

/* Every close code of the table is in one of the two lists; 1006 is not in the table. */
function isComplete(...lists) {
    const listed = lists.flat().filter((code) => code !== 1006);
    assert.deepEqual(listed.sort(), Object.keys(refusals).map(Number).sort(), 'a new close code needs a place here');
}

test('the page retries by itself only for these codes', () => {
    const never = [1000, 1002, 1003, 1009, 4401, 4403, 4404, 4408, 4410, 4429];
    const again = [1001, 1006, 4409, 4502, 4503, 4504];
    for (const code of never) {
        assert.equal(describe({ code, opened: true }).auto, null, String(code));
    }
    for (const code of again) {
        assert.ok(describe({ code, opened: true }).auto, String(code));
    }
    isComplete(never, again);
});

test('the picture is removed if the user may no longer see it', () => {
    const goes = [1002, 1003, 1009, 4401, 4403, 4404, 4408, 4410, 4429];
    const stays = [1000, 1001, 1006, 4409, 4502, 4503, 4504];
    for (const code of goes) {
        assert.equal(describe({ code, opened: true, connected: true }).keep, false, String(code));
    }
    for (const code of stays) {
        assert.equal(describe({ code, opened: true, connected: true }).keep, true, String(code));
    }
    isComplete(goes, stays);
});

test('the page offers a new link only where nothing else helps', () => {
    const helps = [4401, 4408, 4410];
    const others = [1000, 1001, 1002, 1003, 1006, 1009, 4403, 4404, 4409, 4429, 4502, 4503, 4504];
    for (const code of helps) {
        assert.equal(describe({ code, opened: true }).newLink, true, String(code));
    }
    for (const code of others) {
        assert.equal(describe({ code, opened: true }).newLink, false, String(code));
    }
    assert.equal(describe({ code: 4401 }, { token: false }).newLink, true);
    isComplete(helps, others);
});

test('1006 has another title if the connection was open', () => {
    assert.equal(describe({ code: 1006, opened: true }).title, lost.dropped.title);
    assert.equal(describe({ code: 1006, opened: false }).title, lost.unreachable.title);
});

test('an RFB failure without a close code is shown in its own words, without a retry', () => {
    const why = describe({ code: 1006, reason: 'Too many security failures', opened: true });
    assert.equal(why.sentence, 'Too many security failures');
    assert.equal(why.auto, null);
});

test('the hint on a refused link says why it may not work any more', () => {
    const { again, restarted, waited } = refusals[4401];
    for (const [past, wanted] of [
        [{}, ''],
        [{ before: true }, again],
        [{ before: true, previous: 1006 }, again],
        [{ before: true, restarted: true, previous: 1001 }, restarted],
        [{ before: true, restarted: true, previous: 4503 }, restarted],
        [{ before: true, previous: 4409 }, waited],
        [{ previous: 4409 }, waited],
    ]) {
        const why = describe({ code: 4401 }, { token: true, ...past });
        assert.equal(why.hint, wanted, JSON.stringify(past));
        assert.equal(why.title, refusals[4401].title);
    }
    assert.equal(new Set([again, restarted, waited]).size, 3);
});

test('an address without a token has its own words', () => {
    const why = describe({ code: 4401, reason: refusals[4401].sentence }, { token: false });
    assert.equal(why.title, lost.noToken.title);
    assert.equal(why.sentence, lost.noToken.sentence);
    assert.equal(describe({ code: 4409 }, { token: false }).title, refusals[4409].title);
});

test('a server that is off is waited for, and the page says so', () => {
    const why = describe({ code: 4409 });
    assert.deepEqual(why.auto, { poll: true });
    assert.equal(why.hint, refusals[4409].hint);
});

test('outside text becomes one harmless line', () => {
    assert.equal(clean(' a\n\u202eb\u0000 '), 'a b');
    assert.equal(clean('x'.repeat(500)).length, 300);
    assert.equal(clean(undefined), '');
    assert.equal(clean('<img src=x>'), '<img src=x>'); // harmless as text, which is how it is shown
});

test('a new window that the link does not open says where the console is', () => {
    const past = { token: true, ownWindow: true, before: false, restarted: false, previous: null };
    assert.equal(describe({ code: 4401 }, past).hint, refusals[4401].ownWindow);
    assert.equal(describe({ code: 4401 }, { ...past, ownWindow: false }).hint, '');
    assert.equal(describe({ code: 4401 }, { ...past, before: true }).hint, refusals[4401].again);
    assert.equal(describe({ code: 4404 }, past).hint, '');
});
