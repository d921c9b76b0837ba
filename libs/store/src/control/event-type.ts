import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A row of `posthorn.event_types`: what the producer says about a name that events carry. */
@Entity({ schema: 'posthorn', name: 'event_types', synchronize: false })
export class EventType {
  @PrimaryColumn('text')
  name!: string;

  @Column('text', { nullable: true })
  description!: string | null;

  /** The text of a JSON Schema of `data`, as it was given. For people and tools; events are not checked against it. */
  @Column('json', { nullable: true })
  schema!: string | null;

  /** The text of an example of `data`, as it was given. */
  @Column('json', { nullable: true })
  example!: string | null;

  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt!: Date;

  @Column('timestamptz', { name: 'updated_at', default: () => 'now()' })
  updatedAt!: Date;
}
