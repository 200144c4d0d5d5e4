/*
 * What the operator of this site has set for the page ([console] page_settings).  The proxy puts it into the HTML.
 */
import { remembered } from './memory.js';

const found = typeof document === 'undefined' ? null : document.querySelector('meta[name="page-settings"]');

export const site = {
    name: '', logo: '', help: '', newLink: '', defaults: {}, fixed: {}, ...JSON.parse(found?.content ?? '{}'),
};

/**
 * The value of a setting: what nobody can change, what the address asks for, what the person chose the last time, or the
 * operator's default; null if all are missing.
 */
export function setting(name, asked = null, stored = remembered(name)) {
    return site.fixed[name] ?? asked ?? stored ?? site.defaults[name] ?? null;
}
