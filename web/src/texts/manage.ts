import { installation } from './installation';
import { memory } from './memory';
import { prices } from './prices';

/** Texts of the pages by which an installation is managed, and what these share. */
export const manageTexts = {
  manage: {
    actions: 'Actions',
    goSection: (name: string) => `Show ${name}`,
    who: 'By',
    choose: 'Choose…',
    more: 'there are more',
    nextPage: 'Next page',
    firstPage: 'First page',
    cutChoices: 'There are more than can be offered here. Use GraphQL or the command line for the others.',
    needs: (permission: string) => `It takes the permission ${permission}, which your credential does not have. An admin can grant it.`,
    kept: 'I have kept it',
  },
  installation,
  memory,
  prices,
} as const;
