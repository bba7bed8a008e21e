-- For a PostgreSQL database under several pods of a virtual cluster's control plane; docs/stores.md says why.
-- Run it as the user of the data source, before the first installation or later; a second time changes nothing:
--   psql --set=ON_ERROR_STOP=1 --file=postgresql-order.sql DATABASE

-- kine's own table (0.17.2), which kine leaves as it finds it. It adds the indexes when it starts.
CREATE TABLE IF NOT EXISTS kine (
    id BIGSERIAL PRIMARY KEY,
    name TEXT COLLATE "C",
    created INTEGER,
    deleted INTEGER,
    create_revision BIGINT,
    prev_revision BIGINT,
    lease INTEGER,
    value BYTEA,
    old_value BYTEA
);

-- A statement's trigger runs before its first row takes an id, and the lock lasts until everybody sees that row.
CREATE OR REPLACE FUNCTION kine_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(TG_RELID::bigint);
    RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER kine_order BEFORE INSERT ON kine FOR EACH STATEMENT EXECUTE FUNCTION kine_order();
