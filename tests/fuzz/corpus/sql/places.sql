-- one; two
/* a /* nested */ b */ CREATE TABLE "Ta""ble" ("c;" text DEFAULT $q$;$q$);

	SELECT 'é', E'\'', U&'\00e9';;
CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END;
