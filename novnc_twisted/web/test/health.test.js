import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AFTER_INPUT, AFTER_SILENCE, AGAIN, ANSWER, Health, LOST, UNMOVED } from '../src/health.js';

const TICK = 500;

/** A connection with a simulated clock; `answersMessages` and `answersRequests` say what the proxy answers. */
class Connection {
    constructor({ echoes = true } = {}) {
        this.now = 1000;
        this.health = new Health(this.now);
        this.answersMessages = echoes;
        this.answersRequests = true;
        this.asked = [];
        if (echoes) {
            this.health.heard(this.now, true);
        }
    }

    run(ms, until = () => false) {
        for (const end = this.now + ms; this.now < end && !until(); ) {
            this.now += TICK;
            const question = this.health.tick(this.now);
            if (question) {
                this.asked.push({ at: this.now, ...question });
                if (this.answersMessages) {
                    this.health.heard(this.now, true);
                }
                if (question.file) {
                    this.health.answered(this.now, this.answersRequests);
                }
            }
        }
        return this.now;
    }

    fail() {
        this.answersMessages = this.answersRequests = false;
    }

    untilStalled(limit = 120000) {
        const began = this.now;
        this.run(limit, () => this.health.stalled);
        return this.now - began;
    }
}

for (const echoes of [true, false]) {
    test(`a dead network is noticed within 10 s of input, 30 s without (echoes: ${echoes})`, () => {
        const typing = new Connection({ echoes });
        typing.run(3000);
        typing.fail();
        typing.health.sent(typing.now);
        assert.ok(typing.untilStalled() <= 9500);

        const idle = new Connection({ echoes });
        idle.fail();
        assert.ok(idle.untilStalled() <= 25000);
    });

    test(`an idle session that answers is never stalled, and is asked seldom (echoes: ${echoes})`, () => {
        const line = new Connection({ echoes });
        line.run(300000);
        assert.equal(line.health.stalled, false);
        assert.ok(line.asked.length <= 300000 / AFTER_SILENCE + 1);
        assert.equal(line.asked.some(({ file }) => file), !echoes);
        assert.equal(line.asked.some(({ picture }) => picture), false); // the VNC server may be busy without a fault
    });

    test(`typing to a server that says nothing for 120 s does not end the session (echoes: ${echoes})`, () => {
        const line = new Connection({ echoes });
        for (let n = 0; n < 240; n += 1) {
            line.health.sent(line.now);
            line.run(TICK);
            assert.equal(line.health.stalled || line.health.lost, false);
        }
        assert.ok(line.asked.length <= 120000 / AFTER_INPUT);
    });

    test(`a stalled session is asked again, and recovers with the first message (echoes: ${echoes})`, () => {
        const line = new Connection({ echoes });
        line.fail();
        line.untilStalled();
        line.asked.length = 0;
        line.run(60000);
        assert.ok(line.asked.length >= 60000 / AGAIN - 2);
        assert.ok(line.asked.every(({ file }) => file));
        assert.equal(line.health.lost, false);
        line.health.heard(line.now);
        assert.equal(line.health.stalled, false);
        line.answersMessages = line.answersRequests = true;
        line.run(60000);
        assert.equal(line.health.stalled, false);
    });
}

test('a session whose own connection is dead is noticed and given up, while the proxy answers', () => {
    const line = new Connection();
    line.answersMessages = false;
    line.health.sent(line.now);
    assert.ok(line.untilStalled() <= 9500);
    assert.equal(line.health.lost, false);
    line.run(LOST + ANSWER);
    assert.equal(line.health.lost, true);
});

test('after an outage a session that stays silent is given up; the VNC server is asked first', () => {
    const line = new Connection({ echoes: false });
    line.fail();
    line.untilStalled();
    line.answersRequests = true;
    line.run(LOST - AGAIN);
    assert.ok(line.asked.some(({ picture }) => picture));
    assert.equal(line.health.lost, false);
    line.run(3 * AGAIN);
    assert.equal(line.health.lost, true);
});

test('requests must keep being answered for a session to be given up', () => {
    const line = new Connection();
    line.fail();
    line.untilStalled();
    for (let n = 0; n < 40; n += 1) {
        line.answersRequests = n % 2 === 0;
        line.run(AGAIN);
        assert.equal(line.health.lost, false);
    }
});

test('a nudge asks at once', () => {
    const line = new Connection();
    line.health.nudge();
    line.run(TICK);
    assert.equal(line.asked.length, 1);
    line.run(TICK);
    assert.equal(line.asked.length, 1);
});

test('a page that slept, or was busy, listens before it judges', () => {
    const line = new Connection();
    line.answersMessages = false;
    line.run(AFTER_SILENCE);
    assert.equal(line.asked.length, 1);
    line.now += 3600000;
    line.run(TICK); // the message that came meanwhile is handled after this
    assert.equal(line.health.stalled, false);
    line.health.heard(line.now);
    line.answersMessages = true;
    line.run(60000);
    assert.equal(line.health.stalled, false);
});

test('a throttled tab asks once a minute and is not misled', () => {
    const line = new Connection();
    for (let n = 0; n < 10; n += 1) {
        line.now += 60000;
        assert.ok(line.health.tick(line.now));
        assert.equal(line.health.stalled, false);
        line.health.heard(line.now + 50, true);
    }
});

test('without a network, requests decide; the session recovers with the network', () => {
    const line = new Connection();
    line.answersRequests = false; // but messages still come, as in Firefox's emulation
    line.health.network(false);
    line.run(TICK);
    assert.equal(line.health.stalled, true);
    line.run(30000);
    assert.equal(line.health.stalled, true);
    line.answersRequests = true;
    line.health.network(true);
    line.run(TICK);
    assert.equal(line.health.stalled, false);
});

test('a browser that is wrong about its network does not stall the session', () => {
    const line = new Connection();
    line.health.network(false);
    line.run(60000);
    assert.equal(line.health.stalled, false);
});

test('a screen that does not change after a key is unmoved', () => {
    const line = new Connection();
    line.health.sent(line.now); // the mouse over an idle screen
    line.run(2 * UNMOVED);
    assert.equal(line.health.unmoved, false);
    line.health.sent(line.now, true);
    line.run(UNMOVED - TICK);
    assert.equal(line.health.unmoved, false);
    line.run(2 * TICK);
    assert.equal(line.health.unmoved, true);
    assert.equal(line.health.stalled, false);
    line.run(60000);
    assert.equal(line.health.unmoved, true);
    line.health.heard(line.now);
    assert.equal(line.health.unmoved, false);
});
