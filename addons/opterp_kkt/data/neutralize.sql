-- a copied database never delivers
UPDATE kkt_circuit_breaker SET mode = 'forced_open', mode_reason = 'neutralized copy of a database', version = version + 1;
UPDATE kkt_ofd SET credentials = NULL, url = 'http://127.0.0.1:9';
UPDATE ir_cron SET active = FALSE
 WHERE id IN (SELECT res_id FROM ir_model_data WHERE module = 'opterp_kkt' AND model = 'ir.cron');
