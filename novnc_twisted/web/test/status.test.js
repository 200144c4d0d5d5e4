import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cut, titled } from '../src/status.js';

test('a long name keeps its end, a short one stays whole', () => {
    assert.deepEqual(cut('production-database-eu-west-1-replica-07'), ['production-database-eu-west-1-re', 'plica-07']);
    assert.deepEqual(cut('myserver20'), ['myserver20', '']);
    assert.deepEqual(cut(''), ['', '']);
});

test('nothing is lost, and no character is cut in two', () => {
    const family = '👨‍👩‍👧'.repeat(20);
    assert.equal(cut(family).join(''), family);
    assert.equal(cut(family)[1], '👨‍👩‍👧'.repeat(8));
});

test('the title names the state unless it is good', () => {
    assert.equal(titled('myserver20', ''), 'myserver20 - Console');
    assert.equal(titled('myserver20', 'No answer'), 'No answer - myserver20 - Console');
    assert.equal(titled('', ''), 'Console');
});
