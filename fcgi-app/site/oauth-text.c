/* The texts of the OAuth pages. %s stands for what the page puts in, escaped. */
#include "site/oauth-text.h"

#include <stddef.h>

#include "auth/scope.h"

const char *const OAUTH_TEXT[TEXT_LANGS][OAUTH_TEXTS] = {
	[TEXT_EN] = {
		[OAUTH_TEXT_CONSENT_TITLE] = "Authorize %s?",
		[OAUTH_TEXT_CONSENT_BY] = "An application of the organization %s.",
		[OAUTH_TEXT_CONSENT_WANTS] = "It asks to do this in your name:",
		[OAUTH_TEXT_DANGEROUS] = "Far-reaching. Agree only if you trust the application completely.",
		[OAUTH_TEXT_SIGNED_IN] = "You are signed in as %s.",
		[OAUTH_TEXT_GOES_TO] = "The token goes to %s.",
		[OAUTH_TEXT_AUTHORIZE] = "Authorize",
		[OAUTH_TEXT_CANCEL] = "Cancel",
		[OAUTH_TEXT_LOCAL_TITLE] = "Your token",
		[OAUTH_TEXT_LOCAL_SECRET] = "Whoever has it may do what you have just agreed to. It is shown only now: keep it like a password.",
		[OAUTH_TEXT_LOCAL_SCRIPT] = "The token stands in this page's address, behind access_token=. Switch scripts on to see it here.",
		[OAUTH_TEXT_CANCELLED] = "Nothing was authorized. You may close this page.",
		[OAUTH_TEXT_ASSIGNED] = "The token is assigned. The user finds it in the settings, under authorized applications.",
	},
	[TEXT_KO] = {
		[OAUTH_TEXT_CONSENT_TITLE] = "%s에 권한을 주시겠습니까?",
		[OAUTH_TEXT_CONSENT_BY] = "조직 %s의 애플리케이션입니다.",
		[OAUTH_TEXT_CONSENT_WANTS] = "사용자의 이름으로 다음 작업을 하려고 합니다.",
		[OAUTH_TEXT_DANGEROUS] = "매우 넓은 권한입니다. 완전히 신뢰하는 애플리케이션에만 허용하십시오.",
		[OAUTH_TEXT_SIGNED_IN] = "%s(으)로 로그인했습니다.",
		[OAUTH_TEXT_GOES_TO] = "토큰은 %s(으)로 전달됩니다.",
		[OAUTH_TEXT_AUTHORIZE] = "허용",
		[OAUTH_TEXT_CANCEL] = "취소",
		[OAUTH_TEXT_LOCAL_TITLE] = "발급된 토큰",
		[OAUTH_TEXT_LOCAL_SECRET] = "이 토큰을 가진 사람은 방금 허용한 작업을 모두 할 수 있습니다. 지금 한 번만 표시되니 비밀번호처럼 보관하십시오.",
		[OAUTH_TEXT_LOCAL_SCRIPT] = "토큰은 이 페이지 주소의 access_token= 뒤에 있습니다. 여기에서 보려면 스크립트를 켜십시오.",
		[OAUTH_TEXT_CANCELLED] = "아무 권한도 주지 않았습니다. 이 페이지를 닫아도 됩니다.",
		[OAUTH_TEXT_ASSIGNED] = "토큰을 할당했습니다. 사용자는 설정의 승인된 애플리케이션에서 찾을 수 있습니다.",
	},
};

static const struct {
	unsigned    bit;
	const char *title, *description;
} KOREAN[SCOPE_COUNT] = {
	{ SCOPE_REPO_READ, "볼 수 있는 모든 저장소 조회", "허용하는 계정이 볼 수 있는 모든 저장소를 보고 가져올(pull) 수 있습니다." },
	{ SCOPE_REPO_WRITE, "접근할 수 있는 모든 저장소 읽기와 쓰기", "허용하는 계정이 올릴 수 있는 모든 저장소를 보고 가져오고(pull) 올릴(push) 수 있습니다." },
	{ SCOPE_REPO_ADMIN, "저장소 관리", "허용하는 계정이 관리하는 모든 저장소를 관리할 수 있습니다." },
	{ SCOPE_REPO_CREATE, "저장소 만들기", "허용하는 계정이 만들 수 있는 모든 네임스페이스에 저장소를 만들 수 있습니다." },
	{ SCOPE_USER_READ, "사용자 정보 조회", "이름과 이메일 주소 같은 계정 정보를 볼 수 있습니다." },
	{ SCOPE_USER_ADMIN, "사용자 관리", "계정을 관리할 수 있습니다. 로봇 계정을 만들고 저장소에 대한 권한을 줄 수 있습니다." },
	{ SCOPE_ORG_ADMIN, "조직 관리", "조직을 관리할 수 있습니다. 로봇 계정과 팀을 만들고 구성원을 바꿀 수 있습니다." },
	{ SCOPE_SUPER_USER, "최고 관리자 권한", "이 설치 전체를 관리할 수 있습니다. 사용자와 조직, 최고 관리자 화면의 모든 것이 포함됩니다." },
};

const char *
oauth_scope_title(enum text_lang lang, unsigned bit)
{
	for (size_t i = 0; lang == TEXT_KO && i < SCOPE_COUNT; i++)
		if (KOREAN[i].bit == bit)
			return KOREAN[i].title;
	return NULL;
}

const char *
oauth_scope_description(enum text_lang lang, unsigned bit)
{
	for (size_t i = 0; lang == TEXT_KO && i < SCOPE_COUNT; i++)
		if (KOREAN[i].bit == bit)
			return KOREAN[i].description;
	return NULL;
}
