// libpq.
#include "client.h"

#include <libpq-fe.h>

namespace clients {
namespace {

class postgres_client final : public client {
public:
    postgres_client(std::string const& where, int limit) : connection_(PQconnectdb(where.c_str())) {
        if (PQstatus(connection_.get()) != CONNECTION_OK) fail();
        operation(0); // the first query of a kind takes a new server process some work
        if (limit) query("set statement_timeout = '" + std::to_string(limit) + "s'", PGRES_COMMAND_OK);
    }

    void operation(double wait) override {
        auto const rows = query("select 'waited', pg_sleep(" + in_seconds(wait) + ")", PGRES_TUPLES_OK);
        expect_answer(PQntuples(rows.get()) == 1 ? PQgetvalue(rows.get(), 0, 0) : "nothing", "waited");
    }

private:
    using result = owned<PGresult, PQclear>;

    result query(std::string const& text, ExecStatusType right) {
        result got(PQexec(connection_.get(), text.c_str()));
        if (PQresultStatus(got.get()) != right) fail();
        return got;
    }

    [[noreturn]] void fail() { throw failure(PQerrorMessage(connection_.get())); }

    owned<PGconn, PQfinish> connection_;
};

known_kind<postgres_client> const postgres{"postgres"};

} // namespace
} // namespace clients
