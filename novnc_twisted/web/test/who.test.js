import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shareURL } from '../src/location.js';
import { actions, changes, message } from '../src/who.js';

const person = (id, mode = 'view', more = {}) => ({ id, name: id, mode, guest: false, administrator: false, yours: false, given_by: '', page: true, ...more });
const list = (...people) => ({ you: 'me', people });
const CONTROL = { mode: 'control', own: 'control' };
const WATCH = { mode: 'view', own: 'view' };

test('joined and left', () => {
    const [me, a, b] = ['me', 'a', 'b'].map((id) => person(id));
    const ids = ({ joined, left }) => [joined.map(({ id }) => id), left.map(({ id }) => id)];
    assert.deepEqual(ids(changes(null, list(me, a))), [[], []]);
    assert.deepEqual(ids(changes(list(me), list(me, a, b))), [['a', 'b'], []]);
    assert.deepEqual(ids(changes(list(me, a, b), list(b, me))), [[], ['a']]);
    assert.deepEqual(ids(changes(list(a), list(me, a))), [[], []]);
});

test('what a viewer with control can do', () => {
    const all = list(person('me', 'control'), person('a'), person('stock', 'view', { page: false }), person('b', 'control'));
    assert.deepEqual(actions(all, CONTROL), { request: false, take: false, release: false, give: ['a'], stop: [] });
});

test('what a viewer who handed control over can do', () => {
    const all = list(person('me'), person('a', 'control', { given_by: 'me' }), person('b', 'control', { given_by: 'c' }));
    assert.deepEqual(actions(all, { mode: 'view', own: 'control' }), { request: false, take: true, release: false, give: [], stop: [] });
    const guest = list(person('me'), person('a', 'control', { given_by: 'me', yours: true }), person('g', 'control', { guest: true, yours: true }));
    assert.deepEqual(actions(guest, { mode: 'view', own: 'control' }).stop, ['g']);
});

test('what a watcher can do', () => {
    assert.deepEqual(actions(list(person('me'), person('a', 'control')), WATCH),
        { request: true, take: false, release: false, give: [], stop: [] });
    const given = list(person('me', 'control', { given_by: 'a' }), person('a'));
    assert.deepEqual(actions(given, { mode: 'control', own: 'view' }), { request: false, take: false, release: true, give: ['a'], stop: [] });
});

test('control can be requested if somebody can hand it over', () => {
    const me = person('me');
    const request = (...others) => actions(list(me, ...others), WATCH).request;
    assert.deepEqual([request(), request(person('a')), request(person('a', 'control', { page: false })), request(person('a', 'control'))],
        [false, false, false, true]);
    assert.equal(actions({ ...list(me), more: 1 }, WATCH).request, true);
});

test('what the one who shared a link can do', () => {
    const all = list(person('me', 'control'), person('g', 'control', { guest: true, yours: true }));
    assert.deepEqual(actions(all, CONTROL).stop, ['g']);
    assert.deepEqual(actions(all, { mode: 'control', own: 'view' }).stop, []);
});

test('messages', () => {
    assert.deepEqual(message('{"type":"a","b":1}'), { type: 'a', b: 1 });
    for (const wrong of ['', 'x', 'null', '[]', '1', '{}', '{"type":1}']) {
        assert.equal(message(wrong), null);
    }
});

test('the address for a guest', () => {
    const cases = [
        ['http://h:6080/vnc_auto.html?token=old', 'http://h:6080/vnc_auto.html?token=new'],
        ['https://h/c/vnc.html?token=old&view_only=1&title=x#window', 'https://h/c/vnc.html?token=new'],
        ['https://h/vnc.html?path=%3Ftoken%3Dold', 'https://h/vnc.html?path=%3Ftoken%3Dnew'],
        ['https://h/vnc.html?autoconnect=1&path=a%2Fb%3Fx%3D1%26token%3Dold', 'https://h/vnc.html?path=a%2Fb%3Fx%3D1%26token%3Dnew'],
        ['https://h/vnc.html?path=websockify&token=old', 'https://h/vnc.html?path=websockify%3Ftoken%3Dnew'],
    ];
    for (const [from, to] of cases) {
        assert.equal(shareURL(from, 'new'), to);
    }
});
