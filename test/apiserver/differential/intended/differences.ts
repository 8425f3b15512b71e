import type { IntendedDifference } from '../support/intended.ts';
import { admission } from './admission.ts';
import { audit } from './audit.ts';
import { bodies } from './bodies.ts';
import { deletions } from './deletions.ts';
import type { Difference } from './difference.ts';
import { names } from './names.ts';
import { reads } from './reads.ts';
import { watches } from './watches.ts';

/** How each intended difference is shown: one that nothing shows would be no difference. */
export const differences: Readonly<Record<IntendedDifference, Difference>> = {
  admission: { behaviour: admission },
  audit: { behaviour: audit },
  ...bodies,
  ...names,
  ...reads,
  ...watches,
  ...deletions,
};
