Feature: Moderation
  A moderator, in the admin, suspends who breaks the rules.

  Scenario: Being suspended, and coming back
    Given Bob follows Ada
    And Ada posts "buy my cheap watches"
    And Bob's home shows "buy my cheap watches"
    When a moderator suspends Ada for "spam"
    Then Ada has to log in
    And Ada is told to be suspended, after the right password only
    And Bob can't find Ada
    And Bob can't find "buy my cheap watches"
    And Bob's home is empty
    When a moderator lifts the suspension of Ada for "it was a joke"
    And Ada logs in
    Then Ada is logged in
    And Bob's home shows "buy my cheap watches"
