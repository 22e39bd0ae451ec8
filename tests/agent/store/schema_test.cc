// Databases of other versions, as files.

#include "agent/store/schema.h"

#include <string>

#include <absl/status/status.h>
#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/agent/store/journal_fixture.h"
#include "tests/testing/status_matchers.h"

namespace apm::store {
namespace {

using ::apm::testing::IsOk;
using ::apm::testing::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Never edited: this is what a version 1 has left on disks.
constexpr char kVersion1[] = R"sql(
  CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE workers (
    id           INTEGER PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    source       TEXT NOT NULL,
    definition   TEXT NOT NULL,
    owner        TEXT,
    instance_ids TEXT NOT NULL,
    overlays     TEXT NOT NULL
  );
  INSERT INTO meta VALUES ('daemon_id', '0123456789abcdef'),
                          ('next_instance_id', '4');
  INSERT INTO workers VALUES
    (1, 'web', 'config', '{"name":"web","exec":"node","instances":2}', NULL,
     '[1,2]', '{"instances":4}'),
    (2, 'job', 'api', '{"name":"job","exec":"/bin/job"}',
     '{"uid":1000,"gid":100,"user":"bob"}', '[3]', '{"stopped":true}');
  PRAGMA application_id = 0x41504D31;
  PRAGMA user_version = 1;
)sql";

using SchemaTest = JournalFixture;

TEST_F(SchemaTest, AnEmptyFileGetsTheNewestVersion) {
  Restart();
  EXPECT_EQ(folder_.QueryText("PRAGMA user_version"),
            std::to_string(kSchemaVersion));
}

TEST_F(SchemaTest, Version1IsReadWhole) {
  folder_.Execute(kVersion1);
  const DesiredState state = Restart();
  EXPECT_EQ(state.daemon_id, "0123456789abcdef");
  EXPECT_EQ(state.next_instance_id, 4u);
  EXPECT_FALSE(state.created);

  DesiredWorker web = Worker("web", {1, 2});
  web.definition.exec = "node";
  web.definition.instances = 2;
  web.instances = 4;
  DesiredWorker job = Worker("job", {3});
  job.source = Source::kApi;
  job.owner = Owner{.uid = 1000, .gid = 100, .user = "bob"};
  job.stopped = true;
  EXPECT_THAT(state.workers, ElementsAre(web, job));
}

TEST_F(SchemaTest, Version1BecomesTheNewestAndCanBeWritten) {
  folder_.Execute(kVersion1);
  Restart();
  ASSERT_THAT(Save({Worker("web", {1, 2})}), IsOk());
  const DesiredState state = Restart();
  EXPECT_EQ(folder_.QueryText("PRAGMA user_version"),
            std::to_string(kSchemaVersion));
  EXPECT_EQ(state.workers[0].changed, clock_.Now());
  EXPECT_EQ(state.workers[1].changed, absl::UnixEpoch());
}

TEST_F(SchemaTest, ANewerVersionIsNamedAndNotTouched) {
  folder_.Execute(
      "CREATE TABLE future (a); PRAGMA user_version = 99;"
      "PRAGMA application_id = 0x41504D31;");
  const std::string before = folder_.Read();
  const auto state = Open();
  EXPECT_THAT(state, StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(std::string(state.status().message()),
              AllOf(HasSubstr("version 99"), HasSubstr("up to 2"),
                    HasSubstr("run the newer apm, or move the file away")));
  EXPECT_THAT(Save({Worker("web")}),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  journal_.reset();
  EXPECT_EQ(folder_.Read(), before);
  EXPECT_THAT(folder_.Names(""), ElementsAre("state.db"));
}

TEST_F(SchemaTest, AnotherProgramsDatabaseIsNotTouched) {
  folder_.Execute("CREATE TABLE bookmarks (a)");
  const std::string before = folder_.Read();
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kFailedPrecondition));
  journal_.reset();
  EXPECT_EQ(folder_.Read(), before);
}

}  // namespace
}  // namespace apm::store
