import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A row of `posthorn.tenants`: a customer of the producer. Most are made by the first event or subscription. */
@Entity({ schema: 'posthorn', name: 'tenants', synchronize: false })
export class Tenant {
  @PrimaryColumn('text')
  id!: string;

  @Column('text', { nullable: true })
  name!: string | null;

  @Column('jsonb')
  metadata!: Record<string, string>;

  /** How long its payloads are kept, if that is shorter than in the deployment. */
  @Column('bigint', {
    name: 'payload_retention_ms',
    nullable: true,
    // The driver reads a bigint as text; this one is far below 2^53.
    transformer: { to: (ms: number | null) => ms, from: (text: string | null) => text && Number(text) },
  })
  payloadRetentionMs!: number | null;

  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt!: Date;

  @Column('timestamptz', { name: 'updated_at', default: () => 'now()' })
  updatedAt!: Date;
}
