import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A row of `posthorn.subscription_secrets`: a signing secret, sealed (context: `sealedSecretContext`). */
@Entity({ schema: 'posthorn', name: 'subscription_secrets', synchronize: false })
export class SubscriptionSecret {
  @PrimaryColumn('uuid')
  id!: string;

  @Column('uuid', { name: 'subscription_id' })
  subscriptionId!: string;

  @Column('bytea')
  sealed!: Buffer;

  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt!: Date;

  /** When it stops signing; null: not before a rotation. */
  @Column('timestamptz', { name: 'expires_at', nullable: true })
  expiresAt!: Date | null;
}
