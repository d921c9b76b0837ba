import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A row of `posthorn.event_types`: what the producer says about a name that events carry. */
@Entity({ schema: 'posthorn', name: 'event_types', synchronize: false })
export class EventType {
  @PrimaryColumn('text')
  name!: string;

  @Column('text', { nullable: true })
  description!: string | null;

  /** A JSON Schema of `data`. For people and tools; events are not checked against it. */
  @Column('json', { nullable: true })
  schema!: unknown;

  /** An example of `data`. */
  @Column('json', { nullable: true })
  example!: unknown;

  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt!: Date;

  @Column('timestamptz', { name: 'updated_at', default: () => 'now()' })
  updatedAt!: Date;
}
