-- Renews a node's lease and numbers its transaction. A node that was replaced changes nothing, nor does a
-- transaction that arrives after a later one of its node, which gave it up: the exception ends it.
CREATE OR REPLACE FUNCTION fence(node bigint, number bigint, millis bigint) RETURNS void LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE nodes SET last_transaction = number,
        expires_at = clock_timestamp() + millis * interval '1 millisecond'
    WHERE id = node AND NOT is_gone AND last_transaction <= number;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the node % was replaced', node USING ERRCODE = 'DS001';
    END IF;
END $$;
