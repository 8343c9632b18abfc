-- The number of the last event, and that of the newest one that was removed. A transaction that publishes
-- holds the row until its end: events are committed in the order of their numbers, so that a node that has
-- read one misses none before it.
CREATE TABLE event_numbers (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    last bigint NOT NULL,
    forgotten bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 20);
INSERT INTO event_numbers (last) SELECT coalesce(max(id), 0) FROM events;
CREATE INDEX events_of_delivery ON events (delivery);

-- Numbers and stores events, each once for its delivery, and notifies the nodes. The number is the time in
-- milliseconds and a counter of 20 bits. It is a part of the frame of an event for browsers.
CREATE FUNCTION publish(streams text[], workflow_ids text[], deliveries uuid[], names text[],
    depths bigint[], contents bytea[], channel text)
RETURNS TABLE (number bigint, is_repeated boolean, registrations bigint) LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
DECLARE
    newest bigint;
    head text;
BEGIN
    SELECT n.last INTO newest FROM event_numbers n FOR UPDATE;
    SELECT m.registrations INTO registrations FROM meta m;
    FOR i IN 1 .. cardinality(streams) LOOP
        SELECT e.id INTO number FROM events e WHERE e.delivery = deliveries[i];
        is_repeated := FOUND;
        IF NOT is_repeated THEN
            newest := greatest(newest + 1,
                (extract(epoch FROM clock_timestamp()) * 1000)::bigint << 20);
            number := newest;
            head := CASE streams[i] WHEN 'sse'
                THEN format(E'id: %s-%s\n', number >> 20, number & 1048575) ELSE '' END;
            INSERT INTO events (id, stream, workflow_id, delivery, name, depth, content)
            VALUES (number, streams[i], workflow_ids[i], deliveries[i], names[i], depths[i],
                convert_to(head, 'UTF8') || contents[i]);
        END IF;
        RETURN NEXT;
    END LOOP;
    UPDATE event_numbers n SET last = newest;
    PERFORM pg_notify(channel, 'events');
END $$;

-- Removes events that every node has read.
CREATE FUNCTION forget_events(ids bigint[]) RETURNS void LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
    -- One after the other, so that no two transactions wait for each other.
    PERFORM 1 FROM event_numbers FOR UPDATE;
    WITH gone AS (DELETE FROM events e WHERE e.id = ANY(ids) RETURNING e.id)
    UPDATE event_numbers n SET forgotten = greatest(n.forgotten, (SELECT max(g.id) FROM gone g))
    WHERE EXISTS (SELECT FROM gone);
END $$;
