/*
 * What the operator of this site has set for the page ([console] page_settings).  The proxy puts it into the HTML.
 */
import { remembered } from './memory.js';

const found = typeof document === 'undefined' ? null : document.querySelector('meta[name="page-settings"]');

export const site = {
    name: '', logo: '', help: '', newLink: '', defaults: {}, fixed: {}, ...JSON.parse(found?.content ?? '{}'),
};

/**
 * The value of a setting, the first of: fixed by the operator, asked for in the address, the user's last choice, the
 * operator's default, null.
 */
export function setting(name, asked = null, stored = remembered(name)) {
    return site.fixed[name] ?? asked ?? stored ?? site.defaults[name] ?? null;
}
