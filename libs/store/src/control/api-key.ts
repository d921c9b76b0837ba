import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { Scope } from './api-key-scopes.js';

/** A row of `posthorn.api_keys`: who may call the API. The secret itself is not kept, only its hash. */
@Entity({ schema: 'posthorn', name: 'api_keys', synchronize: false })
export class ApiKey {
  @PrimaryColumn('uuid')
  id!: string;

  @Column('text', { nullable: true })
  name!: string | null;

  /** The only tenant it may touch; null: all of them. */
  @Column('text', { nullable: true })
  tenant!: string | null;

  @Column('text', { array: true })
  scopes!: Scope[];

  @Column('bytea', { name: 'secret_hash', select: false })
  secretHash!: Buffer;

  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt!: Date;

  /** To the minute. */
  @Column('timestamptz', { name: 'last_used_at', nullable: true })
  lastUsedAt!: Date | null;
}
