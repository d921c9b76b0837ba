import { z } from 'zod';

/** How a portal looks and where it leads back to, as it is answered. */
export const portalLook = z
  .object({
    readOnly: z.boolean(),
    returnUrl: z.string().nullable().meta({ description: 'Where its visitor came from.' }),
    theme: z.object({
      name: z.string().nullable(),
      logoUrl: z.string().nullable(),
      accentColor: z.string().nullable().meta({ example: '#0a7d5a' }),
      radiusPx: z.int().nullable(),
      mode: z.enum(['light', 'dark', 'auto']),
    }),
  })
  .meta({ id: 'PortalLook' });
