package mongodb

// trait is what has to be known of a command to read it and its answer.
type trait uint16

const (
	// What has to be known when the answer comes; see ask.form.
	upkeep trait = 1 << iota // see package comment
	getMore
	bulk
	lastError
	reads // it writes nothing, so that its answer has no writeErrors and no writeConcernError

	ofCollection // its value is a collection
	find
	aggregate
	hello
	secret // its text holds passwords or proofs of them: values are shown to nobody

	ofAnswers = ofCollection - 1
)

// commands are the known ones, of "Database Commands" in MongoDB's manual, those of servers among themselves, and their old names.
// Those without a trait take no collection, or the full name of one.
var commands = traits(map[trait][]string{
	ofCollection | find | reads: {"find"},
	ofCollection | aggregate:    {"aggregate"},
	getMore | reads:             {"getMore"},
	bulk:                        {"bulkWrite"},
	ofCollection: {
		"analyze", "collMod", "compact", "convertToCapped", "create", "createIndexes", "createSearchIndexes", "delete",
		"deleteIndexes", "drop", "dropIndexes", "dropSearchIndex", "findAndModify", "findandmodify", "insert",
		"killCursors", "mapReduce", "mapreduce", "planCacheClear", "planCacheClearFilters", "planCacheSetFilter",
		"reIndex", "setIndexCommitQuorum", "update", "updateSearchIndex",
	},
	upkeep | hello | secret: {"hello", "isMaster", "ismaster"},
	upkeep | secret:         {"authenticate", "getnonce", "saslContinue", "saslStart"},
	upkeep:                  {"buildInfo", "buildinfo", "endSessions", "logout", "ping", "replSetHeartbeat"},
	secret:                  {"copydb", "copydbgetnonce", "copydbsaslstart", "createUser", "setParameter", "updateUser"},
	ofCollection | reads: {
		"collStats", "count", "distinct", "listIndexes", "validate", "planCacheListFilters", "planCacheListPlans",
		"planCacheListQueryShapes", "parallelCollectionScan", "geoNear", "geoSearch",
	},
	reads: {
		"connPoolStats", "currentOp", "dataSize", "dbHash", "dbStats", "explain", "features", "filemd5", "getCmdLineOpts",
		"getDiagnosticData", "getLog", "getParameter", "getShardMap", "hostInfo", "listCollections", "listCommands",
		"listDatabases", "listShards", "lockInfo", "replSetGetConfig", "replSetGetStatus", "rolesInfo", "serverStatus",
		"shardingState", "top", "usersInfo",
	},
	lastError: {"getLastError", "getlasterror"},
	0: {
		"abortTransaction", "addShard", "addShardToZone", "applyOps", "autoSplitVector", "balancerCollectionStatus",
		"balancerStart", "balancerStatus", "balancerStop", "checkShardingIndex", "cleanupOrphaned",
		"cleanupReshardCollection", "clearJumboFlag", "cloneCollectionAsCapped", "commitReshardCollection",
		"commitTransaction", "configureCollectionBalancing", "configureFailPoint", "connectionStatus", "connPoolSync",
		"coordinateCommitTransaction", "createRole", "dropAllRolesFromDatabase", "dropAllUsersFromDatabase",
		"dropConnections", "dropDatabase", "dropRole", "dropUser", "enableSharding", "eval", "flushRouterConfig",
		"fsync", "fsyncUnlock", "getAuditConfig", "getClusterParameter", "getDefaultRWConcern",
		"getFreeMonitoringStatus", "getShardVersion", "grantPrivilegesToRole", "grantRolesToRole", "grantRolesToUser",
		"group", "internalRenameIfOptionsAndIndexesMatch", "invalidateUserCache", "killAllSessions",
		"killAllSessionsByPattern", "killOp", "killSessions", "logRotate", "mergeAllChunksOnShard", "mergeChunks",
		"mergeShards", "moveChunk", "moveCollection", "movePrimary", "moveRange", "netstat", "prepareTransaction",
		"profile", "profiling", "refineCollectionShardKey", "refreshSessions", "removeShard", "removeShardFromZone",
		"renameCollection", "repairDatabase", "replSetAbortPrimaryCatchUp", "replSetFreeze", "replSetGetRBID",
		"replSetInitiate", "replSetMaintenance", "replSetReconfig", "replSetRequestVotes", "replSetResizeOplog",
		"replSetStepDown", "replSetStepUp", "replSetSyncFrom", "replSetUpdatePosition", "resetError",
		"reshardCollection", "resync", "revokePrivilegesFromRole", "revokeRolesFromRole", "revokeRolesFromUser",
		"rotateCertificates", "setAllowMigrations", "setAuditConfig", "setClusterParameter", "setDefaultRWConcern",
		"setFeatureCompatibilityVersion", "setFreeMonitoring", "setShardVersion",
		"setUserWriteBlockMode", "shardCollection", "shutdown", "split", "splitVector", "startSession",
		"stopReshardCollection", "transitionFromDedicatedConfigServer", "transitionToDedicatedConfigServer",
		"unsetSharding", "unshardCollection", "updateRole", "updateZoneKeyRange", "validateDBMetadata",
		"voteCommitIndexBuild", "waitForFailPoint", "whatsmyuri",
	},
})

// command is one that is known.
type command struct {
	name   string
	traits trait
}

func traits(lists map[trait][]string) map[string]*command {
	all := make(map[string]*command)
	for t, names := range lists {
		for _, name := range names {
			all[name] = &command{name, t}
		}
	}
	return all
}

// unlisted stands for commands that are not known.
var unlisted = &command{name: OperationOther}

// maxCommand bounds what a command may be called.
const maxCommand = 64

// spelt reports whether name is spelt as a command may be.
func spelt(name []byte) bool {
	if len(name) == 0 || len(name) > maxCommand {
		return false
	}
	for _, c := range name {
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}
