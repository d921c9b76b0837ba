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

  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt!: Date;

  @Column('timestamptz', { name: 'updated_at', default: () => 'now()' })
  updatedAt!: Date;
}
