-- What the first version of the schema holds after three commits; never changed, whatever the schema becomes.
PRAGMA journal_mode = wal;
BEGIN;
CREATE TABLE documents (kind TEXT NOT NULL, name TEXT NOT NULL, revision INTEGER NOT NULL, value TEXT NOT NULL,
                        PRIMARY KEY (kind, name)) WITHOUT ROWID;
CREATE TABLE heads (log TEXT NOT NULL PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE entries (log TEXT NOT NULL, seq INTEGER NOT NULL, value TEXT NOT NULL,
                      PRIMARY KEY (log, seq)) WITHOUT ROWID;
CREATE TABLE commits (revision INTEGER NOT NULL PRIMARY KEY, changes TEXT NOT NULL);
INSERT INTO documents VALUES ('Network', 'lab', 1, '{"apiVersion":"bootcode/v1","kind":"Network","metadata":{"name":"lab"},"spec":{"cidr":"192.168.99.0/24"}}');
INSERT INTO commits VALUES (1, '[{"put":[{"kind":"Network","name":"lab"},{"apiVersion":"bootcode/v1","kind":"Network","metadata":{"name":"lab"},"spec":{"cidr":"192.168.99.0/24"}}]}]');
INSERT INTO entries VALUES ('workflow/install', 1, '{"event":"Created"}');
INSERT INTO commits VALUES (2, '[{"appended":["workflow/install",1,[{"event":"Created"}]]}]');
INSERT INTO entries VALUES ('workflow/install', 2, '{"event":"Cancelled"}');
INSERT INTO commits VALUES (3, '[{"appended":["workflow/install",2,[{"event":"Cancelled"}]]}]');
INSERT INTO heads VALUES ('workflow/install', 2);
PRAGMA user_version = 1;
COMMIT;
