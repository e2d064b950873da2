BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0002');
CREATE TABLE alert (
	id INTEGER NOT NULL, 
	rule_id TEXT NOT NULL, 
	rule_name TEXT NOT NULL, 
	severity TEXT NOT NULL, 
	device_id TEXT NOT NULL, 
	measurement TEXT, 
	subject TEXT NOT NULL, 
	state TEXT NOT NULL, 
	has_fired BOOLEAN NOT NULL, 
	condition_since_us BIGINT NOT NULL, 
	since_us BIGINT NOT NULL, 
	value FLOAT, 
	value_at_us BIGINT, 
	acknowledged_by TEXT, 
	acknowledged_us BIGINT, 
	resolved_us BIGINT, 
	reason TEXT NOT NULL, 
	updated_us BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE alert_progress (
	id SMALLINT NOT NULL, 
	frame_no BIGINT NOT NULL, 
	listened_us BIGINT NOT NULL, 
	next_alert_id BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE announcement (
	topic TEXT NOT NULL, 
	device_id TEXT NOT NULL, 
	payload BLOB NOT NULL, 
	updated_us BIGINT NOT NULL, 
	PRIMARY KEY (topic)
);
CREATE TABLE api_key (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	role TEXT NOT NULL, 
	scopes TEXT NOT NULL, 
	digest BLOB NOT NULL, 
	created_us BIGINT NOT NULL, 
	revoked_us BIGINT, 
	PRIMARY KEY (id), 
	UNIQUE (digest)
);
CREATE TABLE audit (
	id INTEGER NOT NULL, 
	at_us BIGINT NOT NULL, 
	actor TEXT NOT NULL, 
	action TEXT NOT NULL, 
	detail TEXT NOT NULL, 
	count INTEGER NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE card (
	digest BLOB NOT NULL, 
	ref TEXT NOT NULL, 
	person_id TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	created_us BIGINT NOT NULL, 
	PRIMARY KEY (digest), 
	UNIQUE (ref)
);
CREATE TABLE command (
	id TEXT NOT NULL, 
	device_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	payload BLOB NOT NULL, 
	created_us BIGINT NOT NULL, 
	acknowledged_us BIGINT, 
	answer BLOB, 
	PRIMARY KEY (id)
);
CREATE TABLE dead_letter (
	id INTEGER NOT NULL, 
	device_id TEXT, 
	topic TEXT NOT NULL, 
	payload BLOB NOT NULL, 
	reason TEXT NOT NULL, 
	received_us BIGINT NOT NULL, 
	is_retained BOOLEAN NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE device (
	id TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	name TEXT NOT NULL, 
	place TEXT NOT NULL, 
	state TEXT NOT NULL, 
	format TEXT NOT NULL, 
	secret_digest BLOB, 
	publish_grants TEXT NOT NULL, 
	subscribe_grants TEXT NOT NULL, 
	created_us BIGINT NOT NULL, 
	adopted_us BIGINT, 
	revision BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "device" VALUES('lab-1','sensor','Lab','Room 1','active','native',X'0102','[]','[]',1,1,1);
CREATE TABLE device_status (
	device_id TEXT NOT NULL, 
	is_online BOOLEAN, 
	last_seen_us BIGINT, 
	clock_right_us BIGINT, 
	PRIMARY KEY (device_id)
);
CREATE TABLE fact (
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "fact" VALUES('last_frame_no','1');
CREATE TABLE idempotency (
	key_id TEXT NOT NULL, 
	idempotency_key TEXT NOT NULL, 
	request_digest BLOB NOT NULL, 
	status INTEGER NOT NULL, 
	body BLOB NOT NULL, 
	created_us BIGINT NOT NULL, 
	is_done BOOLEAN NOT NULL, 
	PRIMARY KEY (key_id, idempotency_key)
);
CREATE TABLE kept_frame (
	id INTEGER NOT NULL, 
	device_id TEXT NOT NULL, 
	topic TEXT NOT NULL, 
	payload BLOB NOT NULL, 
	received_us BIGINT NOT NULL, 
	is_retained BOOLEAN NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE mqtt_queued (
	session_key TEXT NOT NULL, 
	number BIGINT NOT NULL, 
	topic TEXT NOT NULL, 
	payload BLOB NOT NULL, 
	qos SMALLINT NOT NULL, 
	retain BOOLEAN NOT NULL, 
	properties BLOB NOT NULL, 
	subscription_ids TEXT NOT NULL, 
	expires_us BIGINT, 
	share TEXT, 
	was_sent BOOLEAN NOT NULL, 
	is_released BOOLEAN NOT NULL, 
	PRIMARY KEY (session_key, number)
)
 WITHOUT ROWID

;
INSERT INTO "mqtt_queued" VALUES('lab-1/lab-1',1,'news',X'31',2,0,X'','[]',NULL,NULL,1,0);
INSERT INTO "mqtt_queued" VALUES('lab-1/lab-1',2,'news',X'32',2,0,X'','[]',NULL,NULL,0,0);
CREATE TABLE mqtt_received (
	session_key TEXT NOT NULL, 
	packet_id INTEGER NOT NULL, 
	PRIMARY KEY (session_key, packet_id)
)
 WITHOUT ROWID

;
CREATE TABLE mqtt_retained (
	topic TEXT NOT NULL, 
	payload BLOB NOT NULL, 
	qos SMALLINT NOT NULL, 
	properties BLOB NOT NULL, 
	expires_us BIGINT, 
	PRIMARY KEY (topic)
);
INSERT INTO "mqtt_retained" VALUES('news',X'6B657074',1,X'',NULL);
CREATE TABLE mqtt_session (
	session_key TEXT NOT NULL, 
	client_id TEXT NOT NULL, 
	user TEXT, 
	expiry_s BIGINT NOT NULL, 
	ended_us BIGINT, 
	PRIMARY KEY (session_key)
);
INSERT INTO "mqtt_session" VALUES('lab-1/lab-1','lab-1','lab-1',3600,NULL);
CREATE TABLE mqtt_subscription (
	session_key TEXT NOT NULL, 
	filter TEXT NOT NULL, 
	qos SMALLINT NOT NULL, 
	options INTEGER NOT NULL, 
	subscription_id BIGINT, 
	PRIMARY KEY (session_key, filter)
);
CREATE TABLE mqtt_will (
	session_key TEXT NOT NULL, 
	topic TEXT NOT NULL, 
	payload BLOB NOT NULL, 
	qos SMALLINT NOT NULL, 
	retain BOOLEAN NOT NULL, 
	delay_s BIGINT NOT NULL, 
	expiry_s BIGINT, 
	properties BLOB NOT NULL, 
	user TEXT, 
	PRIMARY KEY (session_key)
);
INSERT INTO "mqtt_will" VALUES('lab-1/lab-1','news',X'33',1,0,5,NULL,X'','lab-1');
CREATE TABLE outbox (
	seq INTEGER NOT NULL, 
	lane INTEGER NOT NULL, 
	entity_key TEXT NOT NULL, 
	payload BLOB NOT NULL, 
	created_us BIGINT NOT NULL, 
	PRIMARY KEY (seq)
);
CREATE TABLE person (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	group_name TEXT, 
	created_us BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE reading (
	series_id BIGINT NOT NULL, 
	at_us BIGINT NOT NULL, 
	frame_no BIGINT NOT NULL, 
	value FLOAT NOT NULL, 
	clock SMALLINT NOT NULL, 
	PRIMARY KEY (series_id, at_us, frame_no)
)
 WITHOUT ROWID

;
INSERT INTO "reading" VALUES(1,1000,1,21.5,1);
INSERT INTO "reading" VALUES(2,1000,1,40.0,1);
CREATE TABLE reading_1h (
	series_id BIGINT NOT NULL, 
	start_us BIGINT NOT NULL, 
	count BIGINT NOT NULL, 
	min FLOAT NOT NULL, 
	max FLOAT NOT NULL, 
	sum FLOAT NOT NULL, 
	last FLOAT NOT NULL, 
	PRIMARY KEY (series_id, start_us)
)
 WITHOUT ROWID

;
INSERT INTO "reading_1h" VALUES(1,0,1,21.5,21.5,21.5,21.5);
CREATE TABLE reading_1m (
	series_id BIGINT NOT NULL, 
	start_us BIGINT NOT NULL, 
	count BIGINT NOT NULL, 
	min FLOAT NOT NULL, 
	max FLOAT NOT NULL, 
	sum FLOAT NOT NULL, 
	last FLOAT NOT NULL, 
	PRIMARY KEY (series_id, start_us)
)
 WITHOUT ROWID

;
CREATE TABLE roll_up_due (
	series_id BIGINT NOT NULL, 
	hour_us BIGINT NOT NULL, 
	PRIMARY KEY (series_id, hour_us)
)
 WITHOUT ROWID

;
INSERT INTO "roll_up_due" VALUES(1,0);
CREATE TABLE rule (
	id TEXT NOT NULL, 
	body TEXT NOT NULL, 
	enabled BOOLEAN NOT NULL, 
	updated_us BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "rule" VALUES('hot','{}',1,1);
CREATE TABLE seen (
	device_id TEXT NOT NULL, 
	boot TEXT NOT NULL, 
	ranges BLOB NOT NULL, 
	updated_us BIGINT NOT NULL, 
	PRIMARY KEY (device_id, boot)
)
 WITHOUT ROWID

;
CREATE TABLE series (
	id INTEGER NOT NULL, 
	device_id TEXT NOT NULL, 
	measurement TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (device_id, measurement)
);
INSERT INTO "series" VALUES(1,'lab-1','temperature_c');
INSERT INTO "series" VALUES(2,'lab-1','humidity_pct');
CREATE TABLE tap (
	id INTEGER NOT NULL, 
	event_key TEXT, 
	device_id TEXT NOT NULL, 
	at_us BIGINT NOT NULL, 
	received_us BIGINT NOT NULL, 
	device_at_us BIGINT, 
	clock SMALLINT NOT NULL, 
	credential_digest BLOB NOT NULL, 
	kind TEXT NOT NULL, 
	direction TEXT, 
	boot TEXT, 
	seq BIGINT, 
	PRIMARY KEY (id), 
	UNIQUE (event_key)
);
INSERT INTO "tap" VALUES(1,'k','lab-1',1000,1000,NULL,1,X'AA','uid',NULL,NULL,NULL);
CREATE INDEX ix_device_revision ON device (revision);
CREATE INDEX ix_kept_frame_device_id ON kept_frame (device_id);
CREATE INDEX tap_by_credential ON tap (credential_digest, at_us);
CREATE INDEX tap_by_time ON tap (at_us);
CREATE INDEX ix_audit_at_us ON audit (at_us);
CREATE INDEX ix_card_person_id ON card (person_id);
CREATE INDEX command_by_device ON command (device_id, created_us);
CREATE INDEX ix_person_group_name ON person (group_name);
CREATE INDEX alert_by_state ON alert (state, id);
CREATE UNIQUE INDEX alert_open_once ON alert (rule_id, subject) WHERE state != 'resolved';
CREATE INDEX tap_by_device ON tap (device_id, at_us);
COMMIT;
